import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { openLmdbStore } from '../../src/storage/lmdb-store.ts';
import { type Agent, Cluster, type Job, type KvEntry } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Store {
  readonly fileBytes: number;
  readonly freeBytes: number;
  readonly when: string;
  readonly last: {
    readonly beforeBytes: number;
    readonly afterBytes: number;
    readonly fault: string | null;
  } | null;
}

const WRITTEN_BYTES = 40 * 2 ** 20;

/** What takes room, and is gone again. */
async function wearOut(path: string): Promise<void> {
  await using store = openLmdbStore(path);
  const keys = Array.from({ length: 40 }, (_, at) => `\u00fe${at}`);
  const value = new Uint8Array(WRITTEN_BYTES / keys.length);
  await store.write(keys.map((key) => ({ type: 'put', key, value })));
  await store.write(keys.map((key) => ({ type: 'delete', key })));
}

describe('a store that much was deleted from', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agent: Agent;
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agent = cluster.add('a');
    await agent.up();
  });
  after(() => cluster[Symbol.asyncDispose]());

  const compact = async (): Promise<Store> => {
    const { id } = await agent.submit({ type: 'maintenance', payload: { task: 'compact' } });
    const job: Job = await agent.waitForJob(id);
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    return (job.result as { readonly store: Store }).store;
  };

  it('is written anew by the next start after a job asked for it, and has all that was in it', async () => {
    const path = join(agent.dataDir, 'store');
    await agent.call('kv.put', { key: 'kept', value: 'here' });
    assert.equal((await compact()).when, 'not worth it');
    await agent.kill9();
    await wearOut(path);
    await agent.up();
    const asked = await compact();
    assert.deepEqual([asked.when, asked.last], ['next start', null], JSON.stringify(asked));
    assert.ok(asked.freeBytes > WRITTEN_BYTES / 2, JSON.stringify(asked));
    await agent.kill9();
    const before = statSync(path).size;
    await agent.up();
    const { last } = await compact();
    assert.deepEqual([last?.fault, last?.beforeBytes], [null, before]);
    assert.ok((last?.afterBytes ?? before) < before / 2, JSON.stringify(last));
    assert.equal((await agent.call<KvEntry | null>('kv.get', { key: 'kept' }))?.value, 'here');
  });
});
