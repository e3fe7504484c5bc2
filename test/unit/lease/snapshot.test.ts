import assert from 'node:assert/strict';
import * as fc from 'fast-check';
import {
  AspenError,
  type LogIndex,
  type PeerId,
  SeededRandom,
  sleep,
  type Term,
} from '../../../src/base/index.ts';
import { encodeState, initialState, stateKey } from '../../../src/lease/machine/state.ts';
import type { SnapshotMeta } from '../../../src/lease/raft/index.ts';
import { SnapshotReceiver } from '../../../src/lease/snapshot-receiver.ts';
import { SnapshotSender } from '../../../src/lease/snapshot-sender.ts';
import { FORGET_STAGING } from '../../../src/lease/snapshot-staging.ts';
import { parseSnapshotRequest, type SnapshotChunk } from '../../../src/lease/snapshot-wire.ts';
import type { Messenger } from '../../../src/mesh/index.ts';
import { MemoryStore, prefixEnd, type Store, type Write } from '../../../src/storage/index.ts';
import { ManualClock } from './manual-clock.ts';

const SENDER = 'sender' as PeerId;
const RECEIVER = 'receiver' as PeerId;
const FIRST = 1 as LogIndex;
const never = new AbortController().signal;

type Fate = 'arrives' | 'lost' | 'answer-lost' | 'damaged' | 'receiver-restarts';

const records = (store: Store, space: 't0/' | 't1/') =>
  [...store.range({ from: space, to: prefixEnd(space) })].map(([key, value]) => [
    key.slice(3),
    Buffer.from(value).toString('hex'),
  ]);

/** A sender with some ten chunks of tables, and a receiver at the end of a line that does what the test says. */
class Line {
  readonly clock = new ManualClock();
  readonly from = new MemoryStore();
  readonly to = new MemoryStore();
  readonly chunks: number[] = [];
  readonly arrivedMs: number[] = [];
  /** How long a chunk is on its way. */
  chunkMs = 0;
  readonly installed: SnapshotMeta[] = [];
  fates: Fate[] = [];
  receiver = new SnapshotReceiver(this.to);
  readonly sender = new SnapshotSender(
    {
      store: this.from,
      random: new SeededRandom(3),
      clock: this.clock,
      messenger: {
        request: (_to: PeerId, _method: string, body: unknown) => this.#deliver(body),
      } as Partial<Messenger> as Messenger,
    },
    'snapshot',
  );

  async fill(index = 9): Promise<void> {
    const state = {
      ...initialState(),
      index: index as LogIndex,
      term: 2 as Term,
      configuration: { voters: [SENDER], outgoing: [], learners: [RECEIVER] },
    };
    const batch: Write[] = [{ type: 'put', key: stateKey('t0/'), value: encodeState(state) }];
    for (let at = 0; at < 50; at += 1) {
      const value = new Uint8Array(100_000).fill(at + index);
      batch.push({ type: 'put', key: `t0/k/${String(at).padStart(3, '0')}`, value });
    }
    await this.from.write(batch);
  }

  /** @returns whether the snapshot is through. */
  async try(firstIndex = FIRST): Promise<boolean> {
    return this.sender.send(RECEIVER, firstIndex, never).then(
      () => true,
      (error) => {
        assert.ok(error instanceof AspenError, String(error));
        return false;
      },
    );
  }

  async #deliver(body: unknown): Promise<unknown> {
    const fate = this.fates.shift() ?? 'arrives';
    if (fate === 'lost') throw new AspenError('UNAVAILABLE', 'cut');
    const request = parseSnapshotRequest(body);
    assert.ok(request !== undefined);
    if (fate === 'receiver-restarts') this.receiver = new SnapshotReceiver(this.to);
    if (request.type === 'inquiry') return this.receiver.position(SENDER, request.transfer);
    if (this.chunkMs > 0) await sleep(this.clock, this.chunkMs);
    this.chunks.push(request.number);
    this.arrivedMs.push(this.clock.monotonicMs());
    const chunk: SnapshotChunk = fate === 'damaged' ? { ...request, crc: request.crc ^ 1 } : request;
    const install = async (meta: SnapshotMeta) => {
      await this.to.write([FORGET_STAGING]);
      this.installed.push(meta);
      return true;
    };
    const answer = await this.receiver.receive(chunk, { from: SENDER, space: 't1/', install });
    if (fate === 'answer-lost') throw new AspenError('UNAVAILABLE', 'cut');
    return answer;
  }
}

describe('a snapshot on its way', () => {
  it('arrives whole, in chunks of bounded size', async () => {
    const line = new Line();
    await line.fill();
    assert.equal(await line.try(), true);
    assert.deepEqual(records(line.to, 't1/'), records(line.from, 't0/'));
    assert.ok(line.chunks.length >= 10);
    assert.equal(line.installed[0]?.index, 9);
  });

  it('rests after each chunk for half the time that it took, so that writes go first', async () => {
    const line = new Line();
    await line.fill();
    line.chunkMs = 10;
    assert.equal(await line.clock.until(line.try()), true);
    assert.ok(line.arrivedMs.length >= 10);
    assert.deepEqual(
      line.arrivedMs,
      line.arrivedMs.map((_, at) => 10 + at * 15),
    );
  });

  it('goes on after a cut where the receiver is, whether the chunk or its answer was lost', async () => {
    for (const fate of ['lost', 'answer-lost', 'damaged'] as const) {
      const line = new Line();
      await line.fill();
      line.fates = ['arrives', 'arrives', 'arrives', fate];
      assert.equal(await line.try(), false);
      assert.equal(await line.try(), true);
      assert.equal(line.chunks.filter((number) => number < 3).length, 3, fate);
      assert.deepEqual(records(line.to, 't1/'), records(line.from, 't0/'));
    }
  });

  it('goes on after the receiver was started again', async () => {
    const line = new Line();
    await line.fill();
    line.fates = ['arrives', 'arrives', 'lost', 'receiver-restarts'];
    assert.equal(await line.try(), false);
    assert.equal(await line.try(), true);
    assert.deepEqual(line.chunks, [...new Set(line.chunks)]);
    assert.deepEqual(records(line.to, 't1/'), records(line.from, 't0/'));
  });

  it('sends the state as it was at the begin, though it changes meanwhile', async () => {
    const line = new Line();
    await line.fill();
    const before = records(line.from, 't0/');
    line.fates = ['arrives', 'lost'];
    await line.try();
    await line.fill(40);
    assert.equal(await line.try(), true);
    assert.deepEqual(records(line.to, 't1/'), before);
    assert.equal(line.installed[0]?.index, 9);
  });

  it('begins anew when the log no longer reaches back to it, or when it was held for too long', async () => {
    for (const late of [false, true]) {
      const line = new Line();
      await line.fill();
      line.fates = ['arrives', 'arrives', 'lost'];
      await line.try();
      await line.fill(40);
      assert.equal(line.sender.oldestIndex, 9);
      if (late) await line.clock.advance(31_000);
      line.sender.tick();
      assert.equal(await line.try((late ? 1 : 11) as LogIndex), true);
      assert.equal(line.installed[0]?.index, 40);
      assert.deepEqual(records(line.to, 't1/'), records(line.from, 't0/'));
      assert.equal(line.sender.oldestIndex, undefined);
    }
  });

  it('of another sender takes the place of one that was cut', async () => {
    const line = new Line();
    await line.fill();
    line.fates = ['arrives', 'arrives', 'lost'];
    await line.try();
    const chunk: SnapshotChunk = {
      type: 'chunk',
      transfer: 5,
      number: 0,
      meta: {
        index: 70 as LogIndex,
        term: 4 as Term,
        configuration: { voters: [SENDER], outgoing: [], learners: [] },
      },
      records: [],
      isLast: false,
      crc: 0,
    };
    const other = { from: 'other' as PeerId, space: 't1/' as const, install: async () => true };
    await line.receiver.receive(chunk, other);
    assert.deepEqual(records(line.to, 't1/'), []);
    assert.deepEqual(line.receiver.position('other' as PeerId, 5), { next: 1 });
  });

  it('is emptied when the state in use has overtaken it, and kept while it is wanted', async () => {
    const line = new Line();
    await line.fill();
    line.fates = ['arrives', 'arrives', 'lost'];
    await line.try();
    await line.receiver.tidy('t1/', 8 as LogIndex, never);
    assert.ok(records(line.to, 't1/').length > 0);
    assert.equal(line.receiver.isOvertaken(9 as LogIndex), true);
    await line.receiver.tidy('t1/', 9 as LogIndex, never);
    assert.deepEqual(records(line.to, 't1/'), []);
    assert.equal(await line.try(), true);
    assert.deepEqual(records(line.to, 't1/'), records(line.from, 't0/'));
  });

  it('is the same at its end after any cuts and restarts', async () => {
    const fate = fc.constantFrom<Fate>(
      'arrives',
      'arrives',
      'lost',
      'answer-lost',
      'damaged',
      'receiver-restarts',
    );
    await fc.assert(
      fc.asyncProperty(fc.array(fate, { maxLength: 40 }), async (fates) => {
        const line = new Line();
        await line.fill();
        line.fates = [...fates];
        for (let tries = 0; !(await line.try()); tries += 1) assert.ok(tries <= fates.length);
        assert.deepEqual(records(line.to, 't1/'), records(line.from, 't0/'));
      }),
      { numRuns: 40 },
    );
  });
});
