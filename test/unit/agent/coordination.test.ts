import assert from 'node:assert/strict';
import { type AspenError, silentLogger } from '../../../src/base/index.ts';
import {
  createMemoryDuplexPair,
  createRpcServer,
  type LineDuplex,
  RpcPeer,
  type RpcServer,
} from '../../../src/rpc/index.ts';
import { createFakeAgent } from '../rpc/fake-handlers.ts';

interface Held {
  readonly leaseId: string;
  readonly fencingToken: number;
  readonly validMs: number;
}

interface Note {
  readonly method: string;
  readonly params: Readonly<Record<string, unknown>>;
}

/** Clients of one agent whose group is the real machine, and whose results are checked against their schemas. */
class Socket {
  readonly #agent = createFakeAgent();
  readonly #server: RpcServer;
  #accept: (duplex: LineDuplex) => void = () => undefined;

  constructor() {
    const listener = {
      address: 'memory',
      listen: async (accept: (duplex: LineDuplex) => void) => {
        this.#accept = accept;
      },
      close: async () => undefined,
    };
    this.#server = createRpcServer(
      { listener, handlers: this.#agent.handlers, logger: silentLogger },
      { version: '0.1.0', checksResults: true },
    );
  }

  async start(): Promise<void> {
    await this.#server.start();
  }

  client(): Client {
    const [ours, theirs] = createMemoryDuplexPair();
    this.#accept(theirs);
    return new Client(ours);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
    this.#agent[Symbol.dispose]();
  }
}

class Client {
  readonly notes: Note[] = [];
  readonly peer: RpcPeer;
  #wake: () => void = () => undefined;

  constructor(duplex: LineDuplex) {
    this.peer = new RpcPeer({
      duplex,
      logger: silentLogger,
      handle: async (method, params) => {
        this.notes.push({ method, params: params as Note['params'] });
        this.#wake();
      },
    });
  }

  call<R>(method: string, params: object): Promise<R> {
    return this.peer.request(method, params) as Promise<R>;
  }

  async refusal(method: string, params: object): Promise<AspenError> {
    return this.call(method, params).then(
      () => assert.fail(`${method} was not refused`),
      (error: AspenError) => error,
    );
  }

  async noted(count: number): Promise<readonly Note[]> {
    while (this.notes.length < count) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    return this.notes;
  }
}

describe('coordination on the socket', () => {
  let socket: Socket;
  let client: Client;

  beforeEach(async () => {
    socket = new Socket();
    await socket.start();
    client = socket.client();
  });
  afterEach(() => socket.stop());

  const ttlMs = 60_000;

  it('locks: taken, renewed, waited for, given back, seen', async () => {
    const lock = { name: 'a', ttlMs };
    const first = await client.call<Held>('lock.acquire', lock);
    assert.ok(first.validMs > 0 && first.validMs <= ttlMs);
    const refused = await client.refusal('lock.acquire', lock);
    assert.deepEqual([refused.code, refused.outcome], ['CONFLICT', 'not-applied']);
    assert.equal((refused.details.current as Held).leaseId, first.leaseId);
    const second = client.call<Held>('lock.acquire', { ...lock, waitMs: 60_000 });
    const renewed = await client.call<Held>('lock.renew', { name: 'a', leaseId: first.leaseId });
    assert.equal(renewed.fencingToken, first.fencingToken);
    const view = await client.call<{ holderCount: number; waiterCount: number }>('lock.get', { name: 'a' });
    assert.deepEqual([view.holderCount, view.waiterCount], [1, 1]);
    await client.call('lock.release', { name: 'a', leaseId: first.leaseId });
    assert.ok((await second).fencingToken > first.fencingToken);
    for (const verb of ['renew', 'release']) {
      const lost = await client.refusal(`lock.${verb}`, { name: 'a', leaseId: first.leaseId });
      assert.deepEqual([lost.code, lost.outcome], ['FENCED', 'not-applied']);
    }
    const { items } = await client.call<{ items: { name: string }[] }>('lock.list', {});
    assert.deepEqual(
      items.map(({ name }) => name),
      ['a'],
    );
    assert.equal((await client.refusal('lock.acquire', { name: '\ud800', ttlMs })).code, 'INVALID_PARAMS');
  });

  it('semaphores share permits, fairly, among who agrees how many there are', async () => {
    const semaphore = { name: 's', limit: 3, ttlMs };
    const two = await client.call<Held>('semaphore.acquire', { ...semaphore, permits: 2 });
    const three = client.call<Held>('semaphore.acquire', { ...semaphore, permits: 3, waitMs: 60_000 });
    const overtaking = await client.refusal('semaphore.acquire', semaphore);
    assert.equal(overtaking.code, 'CONFLICT');
    assert.match(
      (await client.refusal('semaphore.acquire', { ...semaphore, limit: 4 })).message,
      /3 permits/,
    );
    await client.call('semaphore.release', { name: 's', leaseId: two.leaseId });
    assert.ok((await three).fencingToken > two.fencingToken);
  });

  it('read-write locks are shared by readers, and a writer that waits is not starved', async () => {
    const lock = { name: 'rw', ttlMs };
    const read = { ...lock, mode: 'read' };
    const readers = [await client.call<Held>('rwlock.acquire', read)];
    readers.push(await client.call<Held>('rwlock.acquire', read));
    const writing = client.call<Held>('rwlock.acquire', { ...lock, mode: 'write', waitMs: 60_000 });
    assert.equal((await client.refusal('rwlock.acquire', read)).code, 'CONFLICT');
    for (const { leaseId } of readers) await client.call('rwlock.release', { name: 'rw', leaseId });
    const { leaseId } = await writing;
    const next = client.call<Held>('rwlock.acquire', { ...read, waitMs: 60_000 });
    await client.call('rwlock.release', { name: 'rw', leaseId });
    await next;
  });

  it('barriers open when all have come, and again when all have left', async () => {
    const barrier = { name: 'b', participants: 3, ttlMs, waitMs: 60_000 };
    const enter = () => client.call<Held>('barrier.enter', barrier);
    const entered = await Promise.all([enter(), enter(), enter()]);
    const late = [enter(), enter(), enter()];
    for (const { leaseId } of entered) await client.call('barrier.leave', { name: 'b', leaseId });
    const tokens = (await Promise.all(late)).map(({ fencingToken }) => fencingToken);
    assert.ok(Math.min(...tokens) > Math.max(...entered.map(({ fencingToken }) => fencingToken)));
    assert.equal((await client.refusal('barrier.enter', { ...barrier, participants: 2 })).code, 'CONFLICT');
  });

  it('elections tell who observes them of each leader and what it proclaims', async () => {
    const observer = socket.client();
    const { subscription } = await observer.call<{ subscription: string }>('election.observe', { name: 'e' });
    await observer.noted(1);
    const first = await client.call<Held>('election.campaign', { name: 'e', value: 'one', ttlMs });
    await observer.noted(2);
    await client.call('election.proclaim', { name: 'e', leaseId: first.leaseId, value: 'uno' });
    await observer.noted(3);
    const campaign = { name: 'e', value: 'two', ttlMs, waitMs: 60_000 };
    const second = client.call<Held>('election.campaign', campaign);
    await client.call('election.resign', { name: 'e', leaseId: first.leaseId });
    const { leaseId } = await second;
    const notes = await observer.noted(4);
    const values = notes.map(({ params }) => (params['leader'] as { value: string } | null)?.value ?? null);
    assert.deepEqual(values, [null, 'one', 'uno', 'two']);
    const { leader } = await client.call<{ leader: { leaseId: string } }>('election.leader', { name: 'e' });
    assert.equal(leader.leaseId, leaseId);
    assert.deepEqual(await observer.call('election.observeStop', { subscription }), { stopped: true });
    assert.deepEqual((await observer.noted(5)).at(-1), {
      method: 'election.observeEnd',
      params: { subscription },
    });
  });

  it('leases are granted, kept alive, listed and revoked', async () => {
    const { leaseId } = await client.call<Held>('lease.grant', { ttlMs });
    await client.call('lease.keepAlive', { leaseId });
    const { leases } = await client.call<{ leases: { leaseId: string }[] }>('lease.list', {});
    assert.deepEqual(
      leases.map((lease) => lease.leaseId),
      [leaseId],
    );
    await client.call('lease.revoke', { leaseId });
    for (const verb of ['get', 'keepAlive', 'revoke']) {
      assert.equal((await client.refusal(`lease.${verb}`, { leaseId })).code, 'NOT_FOUND');
    }
  });

  it('counters, sequences and rate limits answer what they are', async () => {
    assert.deepEqual(await client.call('counter.get', { name: 'c' }), { value: 0, revision: null });
    assert.equal((await client.call<{ value: number }>('counter.add', { name: 'c' })).value, 1);
    const cas = { name: 'c', expected: 1, value: 10 };
    assert.equal((await client.call<{ swapped: boolean }>('counter.cas', cas)).swapped, true);
    const again = await client.call<{ swapped: boolean; value: number }>('counter.cas', cas);
    assert.deepEqual([again.swapped, again.value], [false, 10]);
    assert.deepEqual(await client.call('counter.delete', { name: 'c' }), { deleted: true });
    const { first, last } = await client.call<{ first: number; last: number }>('sequence.next', {
      name: 'q',
      count: 5,
    });
    assert.deepEqual([first, last], [1, 5]);
    const limit = { name: 'r', ratePerSecond: 0.001, burst: 1 };
    assert.equal((await client.call<{ allowed: boolean }>('ratelimit.take', limit)).allowed, true);
    const refused = await client.call<{ allowed: boolean; retryAfterMs: number }>('ratelimit.take', limit);
    assert.equal(refused.allowed, false);
    assert.ok(refused.retryAfterMs > 900_000);
  });

  it('services list their endpoints, by label, and tell who watches', async () => {
    const watcher = socket.client();
    await watcher.call('service.watch', { name: 'web' });
    await watcher.noted(1);
    const register = (address: string, zone: string) =>
      client.call<Held>('service.register', { name: 'web', address, labels: { zone }, ttlMs });
    const { leaseId } = await register('10.0.0.1:80', 'eu');
    await watcher.noted(2);
    await register('10.0.0.2:80', 'us');
    await watcher.noted(3);
    const view = await client.call<{ endpoints: { address: string }[] }>('service.get', {
      name: 'web',
      labels: { zone: 'eu' },
    });
    assert.deepEqual(
      view.endpoints.map(({ address }) => address),
      ['10.0.0.1:80'],
    );
    await client.call('service.deregister', { name: 'web', leaseId });
    const notes = await watcher.noted(4);
    const counts = notes.map(({ params }) => (params['endpoints'] as unknown[]).length);
    assert.deepEqual(counts, [0, 1, 2, 1]);
    const neither = await client.refusal('service.register', { name: 'web', address: 'x' });
    assert.match(neither.message, /ttlMs or leaseId/);
  });

  it('a place in a queue is given up when its connection closes', async () => {
    const lock = { name: 'gone', ttlMs };
    const { leaseId } = await client.call<Held>('lock.acquire', lock);
    const other = socket.client();
    const waiting = other.refusal('lock.acquire', { ...lock, waitMs: 60_000 });
    const waiterCount = async () =>
      (await client.call<{ waiterCount: number }>('lock.get', { name: 'gone' })).waiterCount;
    await until(async () => (await waiterCount()) === 1);
    other.peer.close();
    await waiting;
    await until(async () => (await waiterCount()) === 0);
    await client.call('lock.release', { name: 'gone', leaseId });
    assert.deepEqual((await client.call<{ items: unknown[] }>('lock.list', {})).items, []);
  });
});

/** Lets everything else go on between two looks. */
async function until(isTrue: () => Promise<boolean>): Promise<void> {
  while (!(await isTrue())) await new Promise((resolve) => setImmediate(resolve));
}
