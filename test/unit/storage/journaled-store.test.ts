import assert from 'node:assert/strict';
import { type Random, randomInt, SeededRandom } from '../../../src/base/index.ts';
import { type JournaledStore, openJournaledStore, type Write } from '../../../src/storage/index.ts';
import { Scheduler, SimClock, SimDisk, SimJournalDisk, SimProcess } from '../../sim/ground/index.ts';

const BATCHES_A_LIFE = 60;
const SEEDS = 150;
/** Longer than a record may be: it goes past the journal. */
const LONG_BYTES = 20_000;
/** Of promises, until what was asked for has gone as far as it does without the disk. */
const TURNS = 20;

type Kind = 'journaled' | 'behind' | 'long';
interface Called {
  readonly at: number;
  readonly kind: Kind;
  isAcknowledged: boolean;
}

/** One disk, its machine's time, and a life of a store on it. */
class Ground {
  readonly scheduler: Scheduler;
  readonly disk: SimDisk;
  readonly random: Random;
  process: SimProcess;
  store!: JournaledStore;

  constructor(seed: number) {
    this.scheduler = new Scheduler(seed);
    this.random = new SeededRandom(seed);
    this.disk = new SimDisk(new SeededRandom(seed + 1));
    this.process = new SimProcess({ name: 'a', scheduler: this.scheduler });
  }

  async open(): Promise<JournaledStore> {
    this.process = new SimProcess({ name: 'a', scheduler: this.scheduler });
    const opening = openJournaledStore({
      base: this.disk.open(this.process),
      disk: new SimJournalDisk(this.disk, this.process),
      clock: new SimClock(this.process),
      random: this.random,
    });
    let isOpen = false;
    const opened = opening.then((store) => {
      isOpen = true;
      this.store = store;
    });
    await this.scheduler.run({ condition: () => isOpen });
    await opened;
    return this.store;
  }

  draw(below: number): number {
    return randomInt(this.random, { from: 0, to: below });
  }
}

const put = (key: string, text: string): Write => ({ type: 'put', key, value: Buffer.from(text) });
const name = (at: number) => String(at).padStart(6, '0');
const read = (store: JournaledStore, key: string) => {
  const value = store.get(key);
  return value === undefined ? undefined : Buffer.from(value).toString();
};

/** Two keys of its own, so that half a batch shows, one that all of them write, and now and then the end of older ones. */
function batchOf({ at, kind }: Called): Write[] {
  const text = kind === 'long' ? `${at} `.padEnd(LONG_BYTES, 'x') : String(at);
  return [put(`a${name(at)}`, text), put(`b${name(at)}`, String(at)), put('last', String(at))];
}

function kindOf(random: Random): Kind {
  const drawn = randomInt(random, { from: 0, to: 20 });
  return drawn === 0 ? 'long' : drawn < 5 ? 'behind' : 'journaled';
}

/** What must hold of the store after a crash, given all that was ever asked of it. */
function check(store: JournaledStore, calls: readonly Called[], hint: string): void {
  const isThere = ({ at }: Called) => store.get(`a${name(at)}`) !== undefined;
  for (const call of calls) {
    assert.equal(
      isThere(call),
      store.get(`b${name(call.at)}`) !== undefined,
      `${hint}: half of batch ${call.at}`,
    );
    if (call.isAcknowledged)
      assert.ok(isThere(call), `${hint}: acknowledged batch ${call.at} (${call.kind}) is lost`);
  }
  const inOrder = calls.filter(({ kind }) => kind !== 'behind');
  const firstLost = inOrder.findIndex((call) => !isThere(call));
  const later = firstLost === -1 ? [] : inOrder.slice(firstLost).filter(isThere);
  assert.deepEqual(later, [], `${hint}: a batch is there and one before it is not`);
  for (const behind of calls.filter((call) => call.kind === 'behind' && isThere(call))) {
    const before = inOrder.filter(({ at }) => at < behind.at);
    assert.ok(before.every(isThere), `${hint}: what was written behind is there, something before it is not`);
  }
  const newest = calls.findLast(isThere);
  assert.equal(read(store, 'last'), newest && String(newest.at), `${hint}: the order of the calls`);
}

describe('journaled store', function () {
  this.timeout(60_000);

  it('keeps every acknowledged batch over crashes at any moment, each whole, and no batch without those before it', async () => {
    let crashes = 0;
    let lost = 0;
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const ground = new Ground(seed);
      let calls: Called[] = [];
      for (let life = 0; life < 4; life += 1) {
        const store = await ground.open();
        check(store, calls, `seed ${seed}, life ${life}`);
        const kept = calls.filter(({ at }) => store.get(`a${name(at)}`) !== undefined);
        lost += calls.length - kept.length;
        calls = kept.map((call) => ({ ...call, isAcknowledged: true }));
        const { process } = ground;
        const first = (calls.at(-1)?.at ?? -1) + 1;
        const startMs = process.nowMs;
        for (let count = 0; count < BATCHES_A_LIFE; count += 1) {
          const call: Called = { at: first + count, kind: kindOf(ground.random), isAcknowledged: false };
          process.after(ground.draw(200), () => undefined, 'noise');
          process.after(
            count * 2,
            () => {
              calls.push(call);
              const asked =
                call.kind === 'behind' ? store.writeBehind(batchOf(call)) : store.write(batchOf(call));
              asked.then(() => {
                call.isAcknowledged = true;
              });
            },
            'asks',
          );
        }
        const points = ['before write', 'after write', 'before sync', 'after sync'] as const;
        const die = () => process.crash();
        if (life % 2 === 0)
          process.doom(points[ground.draw(4)] as (typeof points)[number], 1 + ground.draw(60), die);
        else process.after(ground.draw(BATCHES_A_LIFE * 2), die, 'dies');
        await ground.scheduler.run({ untilMs: startMs + 10_000 });
        if (!process.isAlive) crashes += 1;
        process.crash();
      }
      check(await ground.open(), calls, `seed ${seed}, at last`);
    }
    assert.ok(crashes > SEEDS, `${crashes} crashes in the middle`);
    assert.ok(lost > SEEDS / 4, `${lost} batches that nobody was told of were lost`);
  });

  it('notices a flipped bit in what the journal holds, wherever it is', async () => {
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const ground = new Ground(seed);
      const store = await ground.open();
      const calls: Called[] = [];
      for (let at = 0; at < 12; at += 1) {
        const call: Called = { at, kind: 'journaled', isAcknowledged: false };
        calls.push(call);
        store.write(batchOf(call)).then(() => {
          call.isAcknowledged = true;
        });
        await ground.scheduler.run({ condition: () => call.isAcknowledged });
      }
      ground.process.crash();
      const where = ground.disk.flipJournal();
      assert.notEqual(where, undefined, 'everything lies in the journal yet');
      await assert.rejects(ground.open(), { kind: 'damaged' }, `seed ${seed}, ${where}`);
    }
  });

  it('says that a record in the middle is missing, and one that others follow', async () => {
    for (const hole of [0, 3, 7]) {
      const ground = new Ground(hole);
      const store = await ground.open();
      const ends: number[] = [0];
      for (let at = 0; at < 10; at += 1) {
        let isDone = false;
        store.write([put(`k${at}`, 'x'.repeat(700))]).then(() => {
          isDone = true;
        });
        await ground.scheduler.run({ condition: () => isDone });
        ends.push(Math.ceil(ground.disk.journal.usedBytes(0) / 32) * 32);
      }
      ground.process.crash();
      const [from, to] = [ends[hole] as number, ends[hole + 1] as number];
      ground.disk.journal.write(0, new Uint8Array(to - from), from, () => true);
      await assert.rejects(ground.open(), { kind: 'damaged' }, `without record ${hole + 1}`);
    }
  });

  it('is damaged without its journal', async () => {
    const ground = new Ground(1);
    await ground.open();
    ground.process.crash();
    ground.disk.journal.remove();
    await assert.rejects(ground.open(), { kind: 'damaged', message: /journal/ });
  });

  it('refuses what a full disk has no room for, whole, and goes on when there is room', async () => {
    const ground = new Ground(1);
    const store = await ground.open();
    const outcomes: string[] = [];
    const ask = (key: string, isBehind = false) => {
      const asked = isBehind ? store.writeBehind([put(key, '1')]) : store.write([put(key, '1')]);
      asked.then(
        () => outcomes.push(`${key} ok`),
        (fault) => outcomes.push(`${key} ${fault.kind}`),
      );
    };
    ask('a');
    await ground.scheduler.run({ condition: () => outcomes.length === 1 });
    ground.disk.fill(); // before the base has taken over anything
    ask('b');
    ask('c', true);
    await ground.scheduler.run({ untilMs: ground.process.nowMs + 10_000 });
    assert.deepEqual(outcomes, ['a ok', 'b full', 'c full']);
    assert.equal(read(store, 'a'), '1');
    assert.equal(read(store, 'b'), undefined);
    ground.disk.free();
    ask('d');
    ask('e', true);
    await ground.scheduler.run({ untilMs: ground.process.nowMs + 10_000 });
    assert.deepEqual(outcomes.slice(3), ['d ok', 'e ok']);
    assert.deepEqual(
      [...ground.disk.table.range({ from: 'a', to: 'f' })].map(([key]) => key),
      ['a', 'd', 'e'],
    );
  });

  it('closes while its disk is full, though a write waits for room, and holds what it acknowledged (D9)', async () => {
    const ground = new Ground(5);
    const store = await ground.open();
    const outcomes: string[] = [];
    const ask = (key: string, text: string) =>
      void store.write([put(key, text)]).then(
        () => outcomes.push(`${key} ok`),
        (fault) => outcomes.push(`${key} ${fault.kind}`),
      );
    ask('a', '1');
    await ground.scheduler.run({ condition: () => outcomes.length === 1 });
    void store.writeBehind([put('b', '1')]).then(() => outcomes.push('b ok'));
    for (let turn = 0; turn < TURNS; turn += 1) await Promise.resolve(); // the base takes it over by now
    ask('c', ''.padEnd(LONG_BYTES, 'x')); // and is to take this one next
    for (let turn = 0; turn < TURNS; turn += 1) await Promise.resolve();
    ground.disk.fill();
    await ground.scheduler.run({ untilMs: ground.process.nowMs + 5_000 });
    assert.deepEqual(outcomes, ['a ok', 'b ok'], 'the third one was let in, and waits for room');
    let isClosed = false;
    void store[Symbol.asyncDispose]().then(() => {
      isClosed = true;
    });
    await ground.scheduler.run({ untilMs: ground.process.nowMs + 5_000 });
    assert.ok(isClosed);
    assert.deepEqual(outcomes, ['a ok', 'b ok', 'c full']);
    ground.disk.free();
    const again = await ground.open();
    assert.deepEqual([read(again, 'a'), read(again, 'b'), read(again, 'c')], ['1', '1', undefined]);
  });

  it('refuses with a batch what was asked for before anybody could hear of that (D9)', async () => {
    const ground = new Ground(4);
    const store = await ground.open();
    const outcomes: string[] = [];
    const ask = (key: string) =>
      store.write([put(key, '1')]).then(
        () => outcomes.push(`${key} ok`),
        (fault) => outcomes.push(`${key} ${fault.kind}`),
      );
    const built = ask('a').then(() => ask('c'));
    await ground.scheduler.run({ condition: () => true });
    await Promise.resolve();
    ground.disk.fill();
    const refused = ask('b').then(() => {
      ground.disk.free();
      return ask('d'); // in the turn of the refusal, as a listener would that has not heard of it
    });
    await ground.scheduler.run({ untilMs: ground.process.nowMs + 10_000 });
    await Promise.all([built, refused]);
    assert.deepEqual([...outcomes].sort(), ['a ok', 'b full', 'c ok', 'd full']);
    void ask('e');
    await ground.scheduler.run({ untilMs: ground.process.nowMs + 10_000 });
    assert.equal(outcomes.at(-1), 'e ok');
  });

  it('writes two records at one time and acknowledges them in their order (D10)', async () => {
    let overtaken = 0;
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const ground = new Ground(seed);
      const store = await ground.open();
      const acknowledged: string[] = [];
      for (const key of ['a', 'b', 'c']) {
        store.write([put(key, key.repeat(600))]).then(() => acknowledged.push(key));
        ground.process.after(0.01, () => undefined, 'lets it begin');
        await ground.scheduler.run({ untilMs: ground.process.nowMs + 0.01 });
      }
      const isSecondFirst = () => ground.disk.journal.usedBytes(0) > 700 && acknowledged.length === 0;
      await ground.scheduler.run({ untilMs: ground.process.nowMs + 10_000, condition: isSecondFirst });
      if (isSecondFirst()) overtaken += 1;
      await ground.scheduler.run({ untilMs: ground.process.nowMs + 10_000 });
      assert.deepEqual(acknowledged, ['a', 'b', 'c'], `seed ${seed}`);
    }
    assert.ok(overtaken > SEEDS / 10, `the second was on the disk before the first ${overtaken} times`);
  });

  it('refuses everything after a sync failed, of the journal as of the base', async () => {
    for (const isBehind of [false, true]) {
      const ground = new Ground(2);
      const store = await ground.open();
      ground.disk.failNextSync();
      const faults: string[] = [];
      const ask = () => (isBehind ? store.writeBehind([put('a', '1')]) : store.write([put('a', '1')]));
      ask().catch((fault) => faults.push(fault.kind));
      await ground.scheduler.run({ untilMs: ground.process.nowMs + 10_000 });
      assert.deepEqual(faults, ['sync-failed']);
      await assert.rejects(store.write([put('b', '1')]), { kind: 'sync-failed' });
    }
  });

  it('takes everything over while it rests, so that a start has nothing to do', async () => {
    const ground = new Ground(3);
    const store = await ground.open();
    void store.write([put('a', '1'), put('b', '1')]);
    void store.write([{ type: 'deleteRange', from: 'a', to: 'b' }]);
    await ground.scheduler.run({ untilMs: ground.process.nowMs + 10_000 });
    assert.deepEqual(
      [...ground.disk.table.range({ from: 'a', to: 'c' })].map(([key]) => key),
      ['b'],
    );
    for (const segment of [0, 1]) assert.equal(ground.disk.journal.usedBytes(segment), 0);
    assert.deepEqual(
      [...store.range({ from: '', to: '\uffff' })].map(([key]) => key),
      ['b'],
      'its own key is not seen',
    );
  });

  it('rests two seconds from the first write that is not taken over, also where it took others over meanwhile', async () => {
    const ground = new Ground(4);
    const store = await ground.open();
    const { process, scheduler } = ground;
    const keys = () => [...ground.disk.table.range({ from: 'a', to: 'c' })].map(([key]) => key);
    void store.write([put('a', '1')]);
    void store.writeBehind([put('aa', '1')]); // is taken over at once
    await scheduler.run({ untilMs: process.nowMs + 1_500 });
    assert.deepEqual(keys(), ['a', 'aa']);
    void store.write([put('b', '1')]);
    await scheduler.run({ untilMs: process.nowMs + 1_900 });
    assert.deepEqual(keys(), ['a', 'aa']);
    await scheduler.run({ untilMs: process.nowMs + 1_000 });
    assert.deepEqual(keys(), ['a', 'aa', 'b']);
  });
});
