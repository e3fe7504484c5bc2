import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type Agent, Cluster, type Job, type KvEntry, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Compact {
  readonly store: {
    readonly fileBytes: number;
    readonly freeBytes: number;
    readonly when: string;
    readonly last: {
      readonly beforeBytes: number;
      readonly afterBytes: number;
      readonly fault: string | null;
    } | null;
  };
}

const KEYS = 400;
const VALUE = 'v'.repeat(60_000);

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

  const compact = async (): Promise<Compact['store']> => {
    const { id } = await agent.submit({ type: 'maintenance', payload: { task: 'compact' } });
    const job: Job = await agent.waitForJob(id);
    assert.equal(job.state, 'succeeded', JSON.stringify(job.error));
    return (job.result as Compact).store;
  };

  it('is written anew by the next start after a job asked for it, and has all that was in it', async () => {
    for (let at = 0; at < KEYS; at += 1) await agent.call('kv.put', { key: `big/${at}`, value: VALUE });
    await agent.call('kv.put', { key: 'kept', value: 'here' });
    for (let at = 0; at < KEYS; at += 1) await agent.call('kv.delete', { key: `big/${at}` });
    let asked = await compact();
    await until(
      async () => {
        asked = await compact();
        return asked.when === 'next start';
      },
      { what: 'the log to let go of what was deleted' },
    );
    assert.equal(asked.last, null);
    const path = join(agent.dataDir, 'store');
    await agent.kill9();
    const before = statSync(path).size;
    await agent.up();
    const { last } = await compact();
    assert.deepEqual([last?.fault, last?.beforeBytes], [null, before]);
    assert.ok(before - (last?.afterBytes ?? before) > asked.freeBytes / 2, JSON.stringify({ asked, last }));
    const entry = await agent.call<KvEntry | null>('kv.get', { key: 'kept' });
    assert.equal(entry?.value, 'here');
  });
});
