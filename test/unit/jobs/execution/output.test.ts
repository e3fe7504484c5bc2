import assert from 'node:assert/strict';
import {
  AspenError,
  ATTEMPT_SPAN_BYTES,
  FIRST_SHARED_ATTEMPT,
  type PeerId,
  spanStart,
} from '../../../../src/base/index.ts';
import { followOutput, type LocatedJob } from '../../../../src/jobs/execution/output-follower.ts';
import { serveOutput } from '../../../../src/jobs/execution/output-server.ts';
import { OutputStore } from '../../../../src/jobs/execution/output-store.ts';
import type { Incoming, Messenger } from '../../../../src/mesh/messenger.ts';
import { ManualClock } from '../../lease/manual-clock.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const textOf = (chunks: readonly { data: Uint8Array }[]) =>
  chunks.map(({ data }) => new TextDecoder().decode(data)).join('');
const peer = (name: string) => name as PeerId;

describe('output store', () => {
  it('numbers the bytes of both streams in order of arrival, and ends', () => {
    const store = new OutputStore();
    const output = store.open('j', 1);
    output.write('stdout', bytes('abc'));
    output.write('stderr', bytes('de'));
    const page = store.read({ jobId: 'j', attempt: 1, fromOffset: 1, bytesLimit: 3 });
    assert.deepEqual(
      page?.chunks.map(({ stream, offset, data }) => [stream, offset, textOf([{ data }])]),
      [
        ['stdout', 1, 'bc'],
        ['stderr', 3, 'd'],
      ],
    );
    assert.equal(page?.nextOffset, 4);
    output.end();
    const rest = store.read({ jobId: 'j', attempt: 1, fromOffset: 4, bytesLimit: 3 });
    assert.deepEqual([textOf(rest?.chunks ?? []), rest?.isEnded], ['e', true]);
    assert.equal(store.read({ jobId: 'j', attempt: 2, fromOffset: 0, bytesLimit: 3 }), null);
  });

  it('keeps the latest bytes of an attempt, and tells where they begin', () => {
    const store = new OutputStore({ attemptLimitBytes: 10 });
    const output = store.open('j', 1);
    for (const part of ['0123', '4567', '89ab', 'cdef']) {
      output.write(part < '8' ? 'stdout' : 'stderr', bytes(part));
    }
    const page = store.read({ jobId: 'j', attempt: 1, fromOffset: 0, bytesLimit: 100 });
    assert.deepEqual(
      [page?.firstOffset, textOf(page?.chunks ?? []), page?.nextOffset],
      [6, '6789abcdef', 16],
    );
  });

  describe('holds a writer up that is far ahead (O4)', () => {
    function opened() {
      const clock = new ManualClock();
      const store = new OutputStore({ attemptLimitBytes: 10, clock });
      const output = store.open('j', 1);
      const follow = (fromOffset: number) =>
        store.waitForMore({ jobId: 'j', attempt: 1, fromOffset, bytesLimit: 4, waitMs: 1 }, clock);
      /** How long the writer is held up from now on, looking every 100 ms. */
      const heldMs = async () => {
        const startMs = clock.monotonicMs();
        let isOver = false;
        void output.whenRoom?.()?.then(() => {
          isOver = true;
        });
        if (output.whenRoom?.() === undefined) return 0;
        while (!isOver) await clock.advance(100);
        return clock.monotonicMs() - startMs;
      };
      return { clock, output, follow, heldMs };
    }

    it('only shortly at its beginning where nobody follows', async () => {
      const { output, heldMs } = opened();
      output.write('stdout', bytes('0123'));
      assert.equal(output.whenRoom?.(), undefined);
      output.write('stdout', bytes('4567'));
      assert.equal(await heldMs(), 500);
      output.write('stdout', bytes('89abcdef'));
      assert.equal(await heldMs(), 0);
    });

    it('until the follower has read on', async () => {
      const { clock, output, follow } = opened();
      output.write('stdout', bytes('01234567'));
      assert.equal((await follow(0))?.nextOffset, 4);
      assert.equal(output.whenRoom?.(), undefined);
      output.write('stdout', bytes('89'));
      let isOver = false;
      void output.whenRoom?.()?.then(() => {
        isOver = true;
      });
      await clock.advance(2_000);
      assert.equal(isOver, false);
      await follow(4);
      await clock.advance(0);
      assert.equal(isOver, true);
    });

    it('not for ever by a follower that stands still', async () => {
      const { output, follow, heldMs } = opened();
      output.write('stdout', bytes('0123'));
      await follow(0);
      output.write('stdout', bytes('456789'));
      assert.equal(await heldMs(), 10_000);
    });

    it('no longer when the attempt has ended', async () => {
      const { clock, output, follow } = opened();
      output.write('stdout', bytes('0123'));
      await follow(0);
      output.write('stdout', bytes('456789'));
      const room = output.whenRoom?.();
      output.end();
      await clock.advance(0);
      await room;
      assert.equal(output.whenRoom?.(), undefined);
    });
  });

  it('keeps the latest ended attempts only, by count and by size, and never drops one that runs', () => {
    const store = new OutputStore({ endedLimit: 3, endedLimitBytes: 10 });
    const running = store.open('running', 1);
    running.write('stdout', bytes('still here'));
    for (const jobId of ['a', 'b', 'c', 'd', 'e']) {
      const output = store.open(jobId, 1);
      output.write('stdout', bytes(jobId === 'e' ? 'sevenby' : 'x'));
      output.end();
    }
    const isKept = (jobId: string) =>
      store.read({ jobId, attempt: 1, fromOffset: 0, bytesLimit: 1 }) !== null;
    assert.deepEqual(['running', 'a', 'b', 'c', 'd', 'e'].map(isKept), [
      true,
      false,
      false,
      true,
      true,
      true,
    ]);
    const last = store.open('f', 1);
    last.write('stdout', bytes('ninebytes'));
    last.end();
    assert.deepEqual(['running', 'c', 'd', 'e', 'f'].map(isKept), [true, false, false, false, true]);
  });

  it('answers a waiting reader at the first write, at the end, and when its time is over', async () => {
    const clock = new ManualClock();
    const store = new OutputStore();
    const output = store.open('j', 1);
    const wait = (fromOffset: number) =>
      store.waitForMore({ jobId: 'j', attempt: 1, fromOffset, bytesLimit: 10, waitMs: 1_000 }, clock);
    const first = wait(0);
    output.write('stdout', bytes('x'));
    assert.equal(textOf((await first)?.chunks ?? []), 'x');
    const timed = wait(1);
    await clock.advance(1_000);
    assert.deepEqual((await timed)?.chunks, []);
    const last = wait(1);
    output.end();
    assert.equal((await last)?.isEnded, true);
  });
});

/** A mesh of stores whose requests arrive at once, or not at all for nodes that are down. */
class World {
  readonly clock = new ManualClock();
  readonly stores = new Map<PeerId, OutputStore>();
  readonly down = new Set<PeerId>();
  readonly #handlers = new Map<string, (message: Incoming) => unknown>();
  job: LocatedJob = { state: 'queued', isFinal: false, attempt: 0, node: null, result: null };
  requestCount = 0;

  node(name: string): OutputStore {
    const store = new OutputStore();
    this.stores.set(peer(name), store);
    serveOutput({ messenger: this.messenger(name), store, clock: this.clock });
    return store;
  }

  messenger(name: string): Messenger {
    return {
      self: peer(name),
      request: async (to, method, body) => {
        this.requestCount += 1;
        const handler = this.#handlers.get(`${to} ${method}`);
        if (handler === undefined || this.down.has(to)) throw new AspenError('UNAVAILABLE', `${to} is down`);
        return handler({ from: peer(name), body });
      },
      send: () => false,
      handle: (method, handler) => {
        this.#handlers.set(`${name} ${method}`, handler);
        return { [Symbol.dispose]: () => void this.#handlers.delete(`${name} ${method}`) };
      },
      connected: () => [],
      onPeer: () => ({ [Symbol.dispose]: () => undefined }),
    };
  }

  follow(self: string, options: { follow?: boolean; fromOffset?: number; signal?: AbortSignal } = {}) {
    const { follow = true, fromOffset = 0, signal = new AbortController().signal } = options;
    const components = {
      messenger: this.messenger(self),
      store: this.stores.get(peer(self)) ?? new OutputStore(),
      clock: this.clock,
      locate: async () => this.job,
    };
    const seen: { offset: number; text: string }[] = [];
    const ended = (async () => {
      for await (const { offset, data } of followOutput(components, 'j', { follow, fromOffset, signal }))
        seen.push({ offset, text: new TextDecoder().decode(data) });
    })();
    ended.catch(() => undefined);
    return { seen, ended };
  }

  runOn(node: string, attempt: number): void {
    this.job = { state: 'running', isFinal: false, attempt, node: peer(node), result: null };
  }

  finish(result: unknown = null): void {
    this.job = { ...this.job, state: 'succeeded', isFinal: true, result };
  }
}

describe('output follower', () => {
  it('waits for the start, follows the executing node, and ends when the job is final', async () => {
    const world = new World();
    const store = world.node('worker');
    const { seen, ended } = world.follow('reader');
    await world.clock.advance(5_000);
    const output = store.open('j', 1);
    world.runOn('worker', 1);
    await world.clock.advance(3_000);
    output.write('stdout', bytes('one'));
    await world.clock.advance(0);
    assert.deepEqual(seen, [{ offset: 0, text: 'one' }], 'output arrives while the job runs');
    output.write('stderr', bytes('two'));
    output.end();
    world.finish();
    await world.clock.until(ended);
    assert.deepEqual(seen.at(-1), { offset: 3, text: 'two' });
  });

  it('reads its own node without a request', async () => {
    const world = new World();
    const output = world.node('worker').open('j', 1);
    output.write('stdout', bytes('here'));
    output.end();
    world.runOn('worker', 1);
    world.finish();
    const { seen, ended } = world.follow('worker', { fromOffset: 2 });
    await world.clock.until(ended);
    assert.deepEqual([seen, world.requestCount], [[{ offset: 2, text: 're' }], 0]);
  });

  it('goes on with the next attempt when the node of the first is lost, and offsets grow (F1)', async () => {
    const world = new World();
    world.node('first').open('j', 1).write('stdout', bytes('begun'));
    const second = world.node('second');
    world.runOn('first', 1);
    const { seen, ended } = world.follow('reader');
    await world.clock.advance(100);
    world.down.add(peer('first'));
    await world.clock.advance(30_000);
    const output = second.open('j', 2);
    output.write('stdout', bytes('again'));
    output.end();
    world.runOn('second', 2);
    world.finish();
    await world.clock.until(ended);
    assert.deepEqual(seen, [
      { offset: 0, text: 'begun' },
      { offset: spanStart(2), text: 'again' },
    ]);
  });

  describe('whom somebody asks on who read a part before (F1)', () => {
    /** What a reader from `fromOffset` is given of attempt `attempt`, which wrote "again". */
    async function readFrom(fromOffset: number, attempt: number) {
      const world = new World();
      const output = world.node('worker').open('j', attempt);
      output.write('stdout', bytes('again'));
      output.end();
      world.runOn('worker', attempt);
      world.finish();
      const { seen, ended } = world.follow('reader', { fromOffset });
      await world.clock.until(ended);
      return seen;
    }

    it('gives the rest of the attempt, where that is the latest', async () => {
      assert.deepEqual(await readFrom(2, 1), [{ offset: 2, text: 'ain' }]);
      const from = spanStart(3) + 2;
      assert.deepEqual(await readFrom(from, 3), [{ offset: from, text: 'ain' }]);
    });

    it('gives a later attempt from its beginning, never from its middle', async () => {
      for (const fromOffset of [2, 5_000, spanStart(2), spanStart(2) + 2])
        assert.deepEqual(await readFrom(fromOffset, 3), [{ offset: spanStart(3), text: 'again' }]);
    });

    it('gives one of the attempts that share the last span from its beginning, rather twice than in part', async () => {
      const last = spanStart(FIRST_SHARED_ATTEMPT);
      assert.deepEqual(await readFrom(7, FIRST_SHARED_ATTEMPT), [{ offset: last, text: 'again' }]);
      for (const attempt of [FIRST_SHARED_ATTEMPT, 50_000])
        assert.deepEqual(await readFrom(last + 2, attempt), [{ offset: last + 2, text: 'again' }]);
    });

    it('waits for the attempt where that has not begun, and says so where it cannot any more', async () => {
      const world = new World();
      world.node('worker').open('j', 1).write('stdout', bytes('first'));
      world.runOn('worker', 1);
      const fromOffset = spanStart(2) + 2;
      await assert.rejects(
        world.clock.until(world.follow('reader', { follow: false, fromOffset }).ended),
        /is of attempt 2 of j, whose latest is 1/,
      );
      const { seen, ended } = world.follow('reader', { fromOffset });
      await world.clock.advance(5_000);
      assert.deepEqual(seen, []);
      const output = world.stores.get(peer('worker'))?.open('j', 2);
      output?.write('stdout', bytes('second'));
      output?.end();
      world.runOn('worker', 2);
      world.finish();
      await world.clock.until(ended);
      assert.deepEqual(seen, [{ offset: fromOffset, text: 'cond' }]);
    });

    it('takes the rest from the record only where it is known byte by byte (F2)', async () => {
      const rest = async (result: unknown, fromOffset = 2) => {
        const world = new World();
        world.runOn('gone', 1);
        world.finish(result);
        const { seen, ended } = world.follow('reader', { fromOffset });
        await world.clock.until(ended);
        return seen.map(({ text }) => text).join('');
      };
      const one = { stdout: 'kept', stderr: '', stdoutBytes: 4, stderrBytes: 0 };
      assert.equal(await rest(one), 'pt');
      assert.equal(await rest({ ...one, stderr: 'two', stderrBytes: 3 }, 7), '', 'all of it was read');
      for (const unknown of [
        { ...one, stderr: 'two', stderrBytes: 3 }, // in which order?
        { ...one, stdoutBytes: 70_000, truncated: true },
        { ...one, stdoutBytes: 5 }, // bytes that are no text
        null,
      ])
        await assert.rejects(rest(unknown), /the rest of the output of j is on gone, which is out of reach/);
    });
  });

  it('says so where an attempt has written more than its offsets can tell', async () => {
    const world = new World();
    const store = world.node('worker');
    const huge = { stream: 'stdout' as const, offset: ATTEMPT_SPAN_BYTES - 2, data: bytes('abc') };
    store.waitForMore = async () => ({
      chunks: [huge],
      nextOffset: ATTEMPT_SPAN_BYTES + 1,
      isEnded: true,
      firstOffset: 0,
    });
    world.runOn('worker', 1);
    const { seen, ended } = world.follow('worker');
    await assert.rejects(
      world.clock.until(ended),
      /attempt 1 of j has written more than 1099511627776 bytes/,
    );
    assert.deepEqual(seen, []);
  });

  it('falls back to the record when the node is gone and nothing was given', async () => {
    const world = new World();
    world.runOn('gone', 1);
    world.finish({ stdout: 'kept', stderr: 'too' });
    const { seen, ended } = world.follow('reader');
    await world.clock.until(ended);
    assert.deepEqual(seen, [
      { offset: 0, text: 'kept' },
      { offset: 4, text: 'too' },
    ]);
  });

  it('says that the record is not the whole, and where that is or was (F2)', async () => {
    const world = new World();
    world.runOn('gone', 1);
    world.finish({ stdout: 'head', stderr: '', stdoutBytes: 70_000, stderrBytes: 0, truncated: true });
    const { seen, ended } = world.follow('reader', { follow: false });
    await assert.rejects(world.clock.until(ended), /70000 bytes of stdout .* on gone, which is out of reach/);
    assert.deepEqual(seen, [{ offset: 0, text: 'head' }]);
    world.node('gone');
    await assert.rejects(world.clock.until(world.follow('reader').ended), /kept no longer on gone/);
  });

  it('says that a running job is out of reach instead of nothing', async () => {
    const world = new World();
    world.runOn('gone', 1);
    const { ended } = world.follow('reader', { follow: false });
    await assert.rejects(world.clock.until(ended), /output of j is on gone, which is out of reach/);
  });

  it('says so when the rest is out of reach', async () => {
    const world = new World();
    world.node('worker').open('j', 1).write('stdout', bytes('part'));
    world.runOn('worker', 1);
    const { seen, ended } = world.follow('reader');
    await world.clock.advance(100);
    world.down.add(peer('worker'));
    world.finish({ stdout: 'part and rest', stderr: '' });
    await assert.rejects(world.clock.until(ended), { code: 'UNAVAILABLE' });
    assert.equal(seen.length, 1);
  });

  it('without follow ends with what is there', async () => {
    const world = new World();
    const { ended } = world.follow('reader', { follow: false });
    await ended;
    world.node('worker').open('j', 1).write('stdout', bytes('so far'));
    world.runOn('worker', 1);
    const now = world.follow('reader', { follow: false });
    await now.ended;
    assert.equal(now.seen[0]?.text, 'so far');
  });

  it('asks seldom while nothing happens, and ends when its signal aborts', async () => {
    const world = new World();
    world.node('worker').open('j', 1);
    world.runOn('worker', 1);
    const stop = new AbortController();
    const { ended } = world.follow('reader', { signal: stop.signal });
    await world.clock.advance(60_000);
    assert.ok(world.requestCount <= 7, `${world.requestCount} requests in a minute`);
    stop.abort(new Error('enough'));
    await world.clock.until(ended);
  });

  it('refuses a malformed request', async () => {
    const world = new World();
    world.node('worker');
    const ask = (body: unknown) =>
      world.messenger('reader').request(peer('worker'), 'jobs/output', body, { timeoutMs: 1 });
    const body = { jobId: 'j', attempt: 1, fromOffset: 0, bytesLimit: 1, waitMs: 0 };
    await assert.rejects(ask(body), { code: 'NOT_FOUND' });
    for (const wrong of [null, { ...body, attempt: 0 }, { ...body, waitMs: 10_001 }, { ...body, more: 1 }])
      await assert.rejects(ask(wrong), { code: 'INVALID_PARAMS' });
  });
});
