import assert from 'node:assert/strict';
import { type Clock, IdSequence, SeededRandom } from '../../../src/base/index.ts';
import { NewIds, readNewIds } from '../../../src/jobs/new-ids.ts';

const STEPS = 30_000;

describe('ids that no job has (J4)', () => {
  it('are never said to be new where a job has them, in whatever order they come', () => {
    for (let seed = 1; seed <= 5; seed += 1) {
      const random = new SeededRandom(seed);
      const before = Array.from({ length: 500 }, (_, step) => drawn(step, random)).sort();
      const ids = new NewIds(before.at(-1));
      const known = new Set(before);
      const said = [...before];
      let calledNew = 0;
      let newCount = 0;
      for (let step = 500; step < STEPS; step += 1) {
        // Clocks of agents differ by up to 50 steps; now and then somebody asks for an id that is there, or for an old one that is not.
        const id =
          random.uint32() % 10 === 0
            ? (said[random.uint32() % said.length] as string)
            : drawn(step - (random.uint32() % 50), random);
        const isNew = ids.isNew(id);
        if (isNew) assert.ok(!known.has(id), `seed ${seed}, step ${step}: ${id} is there`);
        if (!known.has(id)) newCount += 1;
        if (isNew) calledNew += 1;
        ids.note(id);
        known.add(id);
        if (step % 3 === 0) said.push(id);
      }
      assert.ok(calledNew > newCount * 0.8, `only ${calledNew} of ${newCount} new ids were called so`);
    }
  });

  it('are known one by one where agents count them up, whichever clock is behind', () => {
    const sequence = (seed: number, behindMs: number) =>
      new IdSequence('job', {
        clock: { wallMs: () => Math.floor(step / 20) - behindMs } as Clock,
        random: new SeededRandom(seed),
      });
    let step = 10_000;
    const sequences = [sequence(1, 0), sequence(2, 7), sequence(3, 0)];
    const ids = new NewIds();
    for (const known = new Set<string>(); step < 40_000; step += 1) {
      const id = sequences[Math.floor(step / 5) % 3]?.next() as string;
      assert.ok(ids.isNew(id), `step ${step}: ${id} is new`);
      ids.note(id);
      known.add(id);
      if (step % 100 === 0)
        for (const one of known) assert.ok(!ids.isNew(one), `step ${step}: ${one} is there`);
    }
  });

  it('leave out those that agents do not draw', () => {
    const ids = new NewIds();
    ids.note('order-17');
    assert.equal(ids.isNew('order-17'), false);
    assert.equal(ids.isNew('order-18'), false);
    assert.equal(ids.isNew('job_01'), true);
  });

  it('begin after the greatest drawn one in the tables', () => {
    const kept = ['a', 'job_02', 'job_05', 'order'];
    const asked: unknown[] = [];
    const range = (asks: { from?: string; to?: string }) => {
      asked.push(asks);
      const { from = '', to = '' } = asks;
      return kept
        .filter((key) => key >= from && key < to)
        .map((key) => [key, []] as const)
        .reverse();
    };
    const ids = readNewIds({ table: (() => ({ range, get: () => undefined })) as never });
    assert.equal(asked.length, 1);
    assert.equal(ids.isNew('job_05'), false);
    assert.equal(ids.isNew('job_04'), false, 'it may be there');
    assert.equal(ids.isNew('job_06'), true);
  });
});

function drawn(step: number, random: SeededRandom): string {
  return `job_${step.toString().padStart(8, '0')}${random.uint32().toString(36)}`;
}
