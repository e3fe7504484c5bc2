import assert from 'node:assert/strict';
import { AspenClient, type KvEvent } from '../../src/sdk/index.ts';
import {
  type Agent,
  agreement,
  Cluster,
  leaderAndFollowers,
  RpcError,
  until,
  Writer,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Note {
  readonly subscription: string;
  readonly events: readonly KvEvent[];
  readonly revision: number;
}

interface Txn {
  readonly succeeded: boolean;
  readonly responses: readonly Record<string, unknown>[];
  readonly revision: number;
}

/** Gathers what a watch of the client library tells, until it is stopped. */
class Gathered implements AsyncDisposable {
  readonly events: KvEvent[] = [];
  readonly #abort = new AbortController();
  readonly #client: AspenClient;
  readonly #ended: Promise<unknown>;

  private constructor(client: AspenClient, prefix: string, fromRevision: number) {
    this.#client = client;
    this.#ended = this.#run(prefix, fromRevision).catch((error: unknown) => error);
  }

  static async at({ dataDir }: Agent, prefix: string, fromRevision: number): Promise<Gathered> {
    return new Gathered(await AspenClient.connect({ dataDir }), prefix, fromRevision);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    this.#client.close();
    const error = await this.#ended;
    if (error !== undefined) throw error;
  }

  async #run(prefix: string, fromRevision: number): Promise<void> {
    const { signal } = this.#abort;
    for await (const event of this.#client.kv.watch({ prefix }, { fromRevision, signal })) {
      this.events.push(event);
    }
  }
}

describe('watches of keys', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c']);
  });
  after(() => cluster[Symbol.asyncDispose]());

  async function startAt(through: Agent, key: string): Promise<number> {
    return (await through.call<{ revision: number }>('kv.put', { key, value: '' })).revision + 1;
  }

  /** All that was acknowledged was told, each once, in the order of revisions, and at both the same. */
  async function assertGapless(watches: readonly Gathered[], reader: Agent, prefix: string): Promise<void> {
    const page = await reader.call<{ entries: { key: string; revision: number }[] }>('kv.scan', {
      prefix,
      limit: 10_000,
    });
    const byRevision = page.entries.toSorted((a, b) => a.revision - b.revision).map(({ key }) => key);
    for (const [at, { events }] of watches.entries()) {
      await until(() => events.length >= byRevision.length, {
        what: `watch ${at} to tell ${byRevision.length} changes`,
      });
      assert.deepEqual(
        events.map(({ key }) => key),
        byRevision,
      );
      for (const [next, event] of events.slice(1).entries()) {
        assert.ok(event.revision > (events[next] as KvEvent).revision, 'revisions grow');
      }
    }
  }

  it('have no gap and no duplicate over the death of the leader, at an agent that stays', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [through, other] = followers as [Agent, Agent];
    const from = await startAt(through, 'mark/1');
    await using first = await Gathered.at(through, 'stay/', from);
    await using second = await Gathered.at(other, 'stay/', from);
    const writer = new Writer(through, 'stay/');
    try {
      await writer.more(100);
      await leader.kill9();
      await writer.more(100);
    } finally {
      await writer.stop();
    }
    await assertGapless([first, second], other, 'stay/');
    await leader.up();
    await agreement(agents);
  });

  it('have no gap and no duplicate when the very agent that serves them dies and comes back', async () => {
    const { leader, followers } = await leaderAndFollowers(agents);
    const [through] = followers as [Agent];
    const from = await startAt(through, 'mark/2');
    await using watch = await Gathered.at(leader, 'back/', from);
    const writer = new Writer(through, 'back/');
    try {
      await writer.more(100);
      await until(() => watch.events.length > 0, { what: 'the watch to have begun' });
      await leader.kill9();
      await writer.more(50);
      await leader.up();
      await writer.more(50);
    } finally {
      await writer.stop();
    }
    await agreement(agents);
    await assertGapless([watch], through, 'back/');
  });

  it('tell a transaction under one revision, and keys of a lease that ends', async () => {
    const [one, two] = agents as [Agent, Agent];
    using client = await one.connect();
    const notes: Note[] = [];
    const ends: Record<string, unknown>[] = [];
    client.onNotification(({ method, params }) => {
      if (method === 'kv.event') notes.push(params as unknown as Note);
      if (method === 'kv.watchEnd') ends.push(params);
    });
    const watch = await client.call<{ subscription: string }>('kv.watch', { prefix: 'set/' });
    const { leaseId } = await two.call<{ leaseId: string }>('lease.grant', { ttlMs: 60_000 });
    const put = (key: string) => ({ op: 'put', key: `set/${key}`, value: key, leaseId });
    const txn = await two.call<Txn>('kv.txn', {
      compare: [{ key: 'set/a', version: 0 }],
      success: [put('a'), put('b'), put('c')],
    });
    assert.equal(txn.succeeded, true);
    await two.call('lease.revoke', { leaseId });
    const told = () => notes.flatMap(({ events }) => events);
    await until(() => told().length >= 6, { what: 'six changes' });
    assert.deepEqual(
      told().map(({ type, key }) => `${type} ${key}`),
      ['put set/a', 'put set/b', 'put set/c', 'delete set/a', 'delete set/b', 'delete set/c'],
    );
    const revisions = new Set(told().map(({ revision }) => revision));
    assert.equal(revisions.size, 2);
    assert.ok(revisions.has(txn.revision));
    const { subscription } = watch;
    assert.deepEqual(await client.call('kv.unwatch', { subscription }), { stopped: true });
    await until(() => ends.length === 1, { what: 'the watch to end' });
    assert.equal(ends[0]?.['subscription'], subscription);
    assert.equal(ends[0]?.['error'], undefined);
  });

  it('read stale with an age, by lease with its name, and refuse what is beyond a limit by naming it', async () => {
    const [one] = agents as [Agent];
    await one.call('kv.put', { key: 'read', value: 'x' });
    for (const agent of agents) {
      const byLease = await until(
        () =>
          agent
            .call<Record<string, unknown>>('kv.get', { key: 'read', consistency: 'lease' })
            .catch(() => false as const),
        { what: 'a read by lease' },
      );
      assert.deepEqual([byLease['value'], byLease['consistency']], ['x', 'lease']);
      const stale = await agent.call<Record<string, unknown>>('kv.scan', {
        prefix: 'read',
        consistency: 'stale',
      });
      assert.equal(stale['consistency'], 'stale');
      assert.ok((stale['ageMs'] as number) < 60_000 && (stale['appliedIndex'] as number) > 0);
    }
    const beyond = [
      ['kv.put', { key: 'x'.repeat(1_025), value: '' }, /KV_KEY_BYTES_LIMIT/],
      ['kv.put', { key: 'ä'.repeat(513), value: '' }, /KV_KEY_BYTES_LIMIT/],
      ['kv.put', { key: 'big', value: 'x'.repeat(2 ** 20 + 1) }, /KV_VALUE_BYTES_LIMIT/],
      [
        'kv.txn',
        { success: Array.from({ length: 129 }, () => ({ op: 'get', key: 'k' })) },
        /KV_TXN_OPERATIONS_LIMIT/,
      ],
      ['kv.scan', { prefix: '', limit: 10_001 }, /10000/],
    ] as const;
    for (const [method, params, says] of beyond) {
      const refused = await one.call(method, params).catch((error: unknown) => error);
      assert.ok(refused instanceof RpcError);
      assert.match(refused.message, says);
    }
  });
});
