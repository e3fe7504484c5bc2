import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Ask, ChunkSchedule, ChunkSet } from '../../../src/blobs/index.ts';

type Answer = 'chunk' | 'refuse' | 'silence' | 'busy' | 'lie' | 'away';
const OPTIONS = { windowChunks: 3, faultsLimit: 2 };

function setOf(limit: number, indexes: readonly number[]): ChunkSet {
  const set = new ChunkSet(limit);
  for (const index of indexes) set.add(index);
  return set;
}

describe('the schedule of a fetch', () => {
  it('goes round among the holders, in order, each up to its window (S1, S2)', () => {
    const schedule = new ChunkSchedule<string>(new ChunkSet(10), OPTIONS);
    schedule.offer('a', ChunkSet.full(10));
    schedule.offer('b', setOf(10, [1, 3]));
    assert.deepEqual(
      schedule.take().map(({ peer, index }) => `${peer}${index}`),
      ['a0', 'b1', 'a2', 'b3', 'a4'],
    );
    assert.deepEqual(schedule.take(), []);
  });

  it('lets an idle holder take over from a slow one when nothing else is left (S3)', () => {
    const schedule = new ChunkSchedule<string>(new ChunkSet(4), OPTIONS);
    schedule.offer('slow', ChunkSet.full(4));
    assert.equal(schedule.take().length, 3);
    schedule.offer('fast', ChunkSet.full(4));
    const asks = schedule.take();
    assert.deepEqual(
      asks.map(({ index }) => index),
      [3, 0, 1],
    );
    for (const ask of asks) schedule.arrived(ask);
    assert.deepEqual(schedule.take(), [{ peer: 'fast', index: 2 }]);
    schedule.arrived({ peer: 'fast', index: 2 });
    assert.equal(schedule.isDone, true);
  });

  it('gives the chunks of who went away to others, and asks it again when it is back', () => {
    const schedule = new ChunkSchedule<string>(new ChunkSet(2), OPTIONS);
    schedule.offer('a', ChunkSet.full(2));
    schedule.take();
    schedule.gone('a');
    assert.equal(schedule.isStuck, true);
    assert.deepEqual(schedule.take(), []);
    schedule.offer('a', ChunkSet.full(2));
    assert.equal(schedule.take().length, 2);
  });

  const answers = fc.infiniteStream(
    fc.constantFrom<Answer>('chunk', 'chunk', 'chunk', 'refuse', 'silence', 'busy', 'lie', 'away'),
  );
  const ground = fc.record({
    count: fc.integer({ min: 1, max: 24 }),
    held: fc.array(fc.array(fc.integer({ min: 0, max: 23 })), { maxLength: 4 }),
    windowChunks: fc.integer({ min: 1, max: 5 }),
    order: fc.infiniteStream(fc.nat(1_000)),
    answers,
  });

  it('counts one silence of a holder as one, however much it was asked for (S4)', () => {
    const schedule = new ChunkSchedule<string>(new ChunkSet(40), { windowChunks: 8, faultsLimit: 3 });
    for (let round = 0; round < 3; round += 1) {
      schedule.offer('silent', ChunkSet.full(40));
      assert.equal(schedule.isAvoided('silent'), false);
      const asks = schedule.take();
      assert.equal(asks.length, 8);
      for (const ask of asks) schedule.failed(ask);
      assert.deepEqual(schedule.take(), []);
    }
    assert.equal(schedule.isAvoided('silent'), true);
  });

  it('comes to an end with one honest holder of everything, whatever the others do (S1 - S5)', () => {
    fc.assert(
      fc.property(ground, ({ count, held, windowChunks, order, answers: stream }) => {
        const have = new ChunkSet(count);
        const schedule = new ChunkSchedule<number>(have, { windowChunks, faultsLimit: 2 });
        const sets = [ChunkSet.full(count), ...held.map((indexes) => setOf(count, indexes))];
        const offerAll = () => {
          for (const [peer, set] of sets.entries()) schedule.offer(peer, set);
        };
        offerAll();
        const asked: Ask<number>[] = [];
        const faults = sets.map(() => 0);
        for (let step = 0; step < 2_000 && !schedule.isDone; step += 1) {
          for (const ask of schedule.take()) {
            const { peer, index } = ask;
            assert.ok((sets[peer] as ChunkSet).has(index), 'S1: it says it has it');
            assert.ok(!have.has(index), 'S1: it is missing');
            assert.ok(!asked.some((one) => one.peer === peer && one.index === index), 'S1: once');
            const others = asked.filter((one) => one.index === index);
            assert.ok(others.length < 2, 'S1: of two at most');
            assert.ok((faults[peer] as number) < 2, 'S4');
            asked.push(ask);
            assert.ok(asked.filter((one) => one.peer === peer).length <= windowChunks, 'S2');
          }
          if (asked.length === 0) {
            offerAll();
            assert.ok(schedule.isDone || !schedule.isStuck, 'S5');
            continue;
          }
          const [ask] = asked.splice((order.next().value as number) % asked.length, 1) as [Ask<number>];
          const answer = ask.peer === 0 ? 'chunk' : (stream.next().value as Answer);
          if (answer === 'chunk') {
            schedule.arrived(ask);
            faults[ask.peer] = 0;
          }
          if (answer === 'refuse') schedule.refused(ask);
          if (answer === 'busy') schedule.busy(ask);
          if (answer === 'silence') {
            faults[ask.peer] = (faults[ask.peer] as number) + 1;
            schedule.failed(ask);
          }
          if (answer === 'lie') {
            faults[ask.peer] = 2;
            schedule.lied(ask);
          }
          if (answer === 'away') {
            schedule.gone(ask.peer);
            for (let at = asked.length - 1; at >= 0; at -= 1)
              if (asked[at]?.peer === ask.peer) asked.splice(at, 1);
          }
        }
        assert.ok(schedule.isDone, 'it is done');
      }),
    );
  });
});
