import assert from 'node:assert/strict';
import type { Daemon } from '../../../src/agent/daemon.ts';
import { KvWatches } from '../../../src/agent/handlers/kv-watches.ts';
import { type PeerId, SeededRandom } from '../../../src/base/index.ts';
import { createKvModule, type HistoryLimits } from '../../../src/lease/machine/index.ts';
import type { Connection } from '../../../src/rpc/index.ts';
import { ManualClock } from '../lease/manual-clock.ts';
import { createFakeGroup } from '../rpc/fake-group.ts';

interface Notified {
  readonly method: string;
  readonly params: {
    readonly events?: readonly { readonly key: string }[];
    readonly revision: number;
    readonly error?: {
      readonly data: { readonly code: string; readonly limit?: string; readonly oldestRevision?: number };
    };
  };
}

/** A client that reads, or does not. */
class Client {
  readonly notified: Notified[] = [];
  readonly abort = new AbortController();
  isReading = true;
  #wake: () => void = () => undefined;

  get connection(): Connection {
    return {
      signal: this.abort.signal,
      notify: (method: string, params: Notified['params']) => {
        this.notified.push({ method, params });
        return this.isReading;
      },
      drained: () =>
        this.isReading
          ? Promise.resolve()
          : new Promise<void>((resolve) => {
              this.#wake = resolve;
            }),
    } as unknown as Connection;
  }

  read(): void {
    this.isReading = true;
    this.#wake();
  }

  get keys(): readonly string[] {
    return this.notified.flatMap(({ params }) => (params.events ?? []).map(({ key }) => key));
  }
}

function ground(limits?: HistoryLimits) {
  const clock = new ManualClock();
  const group = createFakeGroup('self' as PeerId, [createKvModule(limits)]);
  const platform = { clock, random: new SeededRandom(3) };
  const watches = new KvWatches({ clock, platform, node: { group } } as unknown as Daemon);
  const put = (key: string) => group.client.propose({ module: 'kv', kind: 'put', body: { key, value: 'x' } });
  return { clock, watches, put };
}

const everything = { filter: { prefix: '' }, fromRevision: undefined };

describe('watches over the socket', () => {
  it('tell nothing more to a client that does not read, and go on where it was when it does', async () => {
    const { clock, watches, put } = ground();
    const client = new Client();
    const { connection } = client;
    await watches.open(everything, connection);
    await clock.advance(10);
    client.isReading = false;
    for (let at = 0; at < 20; at += 1) {
      await put(`k${at}`);
      await clock.advance(100);
    }
    assert.equal(client.notified.length, 1);
    client.read();
    await clock.advance(100);
    assert.deepEqual(
      client.keys,
      Array.from({ length: 20 }, (_, at) => `k${at}`),
    );
    client.abort.abort();
  });

  it('end, with the revision to go on from, when a client reads nothing for long', async () => {
    const { clock, watches, put } = ground();
    const client = new Client();
    const { connection } = client;
    await watches.open(everything, connection);
    await clock.advance(10);
    client.isReading = false;
    await put('told');
    await clock.advance(10);
    await put('later');
    await clock.advance(31_000);
    const end = client.notified.at(-1) as Notified;
    assert.equal(end.method, 'kv.watchEnd');
    assert.deepEqual(
      [end.params.error?.data.code, end.params.error?.data.limit],
      ['RESOURCE_EXHAUSTED', 'KV_WATCH_STALLED_MS'],
    );
    client.read();
    await watches.open({ ...everything, fromRevision: end.params.revision + 1 }, connection);
    await clock.advance(100);
    assert.deepEqual(client.keys, ['told', 'later']);
    client.abort.abort();
  });

  it('end with COMPACTED when the history went on without their client', async () => {
    const { clock, watches, put } = ground({ eventsLimit: 10, bytesLimit: 2 ** 20 });
    const client = new Client();
    await watches.open(everything, client.connection);
    await clock.advance(10);
    client.isReading = false;
    for (let at = 0; at < 40; at += 1) {
      await put(`k${at}`);
      await clock.advance(10);
    }
    client.read();
    await clock.advance(100);
    const end = client.notified.at(-1) as Notified;
    assert.equal(end.method, 'kv.watchEnd');
    assert.equal(end.params.error?.data.code, 'COMPACTED');
    assert.ok((end.params.error?.data.oldestRevision ?? 0) > end.params.revision);
  });

  it('are refused when what they ask for is gone, and beyond 256 on a connection', async () => {
    const { watches, put, clock } = ground({ eventsLimit: 10, bytesLimit: 2 ** 20 });
    const client = new Client();
    const { connection } = client;
    for (let at = 0; at < 40; at += 1) await put(`k${at}`);
    await assert.rejects(watches.open({ ...everything, fromRevision: 1 }, connection), { code: 'COMPACTED' });
    for (let at = 0; at < 256; at += 1) await watches.open(everything, connection);
    await assert.rejects(watches.open(everything, connection), {
      code: 'RESOURCE_EXHAUSTED',
      details: { limit: 'KV_WATCHES_LIMIT' },
    });
    client.abort.abort();
    await clock.advance(3_000);
  });

  it('end without an error when they are asked to, for their own connection only', async () => {
    const { watches, clock } = ground();
    const [client, stranger] = [new Client(), new Client()];
    const { connection } = client;
    const { subscription } = await watches.open(everything, connection);
    assert.deepEqual(watches.close(subscription, stranger.connection), { stopped: false });
    await clock.advance(10);
    assert.deepEqual(watches.close(subscription, connection), { stopped: true });
    await clock.advance(10);
    const end = client.notified.at(-1) as Notified;
    assert.deepEqual([end.method, end.params.error], ['kv.watchEnd', undefined]);
  });
});
