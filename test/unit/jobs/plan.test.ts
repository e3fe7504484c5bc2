import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { NodeView } from '../../../src/affinity/index.ts';
import type { PeerId } from '../../../src/base/index.ts';
import { Lines } from '../../../src/jobs/lines.ts';
import { placementOf, planAssignments } from '../../../src/jobs/plan.ts';
import { ReadyQueue } from '../../../src/jobs/ready-queue.ts';
import { specOf } from './jobs-bench.ts';

function keyOf(at: number): string {
  return String(at).padStart(6, '0');
}

function node(name: string, view: Partial<NodeView> = {}): NodeView {
  const peerId = name as PeerId;
  return {
    peerId,
    role: 'worker',
    labels: {},
    types: ['echo'],
    totalSlots: 10,
    freeSlots: 10,
    isSuspect: false,
    ...view,
  };
}

const OPTIONS = { limit: 1_000, nowMs: 0, seed: 1 };

describe('a queue of ready jobs', () => {
  it('is a sorted list, whatever is added, taken and removed', () => {
    const move = fc.oneof(
      { weight: 4, arbitrary: fc.record({ add: fc.nat({ max: 40 }) }) },
      { weight: 3, arbitrary: fc.constant('take' as const) },
      { weight: 1, arbitrary: fc.record({ remove: fc.nat({ max: 40 }) }) },
    );
    fc.assert(
      fc.property(fc.array(move, { maxLength: 200, size: 'max' }), (moves) => {
        const queue = new ReadyQueue();
        let twin: string[] = [];
        for (const one of moves) {
          if (one === 'take') assert.equal(queue.take()?.key, twin.shift());
          else if ('add' in one) {
            const key = keyOf(one.add);
            queue.add({ id: key, key });
            twin = [...new Set([...twin, key])].sort();
          } else {
            queue.remove({ id: '', key: keyOf(one.remove) });
            twin = twin.filter((key) => key !== keyOf(one.remove));
          }
          assert.equal(queue.size, twin.length);
          assert.equal(queue.peek()?.key, twin[0]);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('a plan', () => {
  it('takes jobs of all lines in the order in which they wait', () => {
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 3 }), { maxLength: 60 }), fc.nat({ max: 40 }), (kinds, slots) => {
        const lines = new Lines();
        for (const [at, kind] of kinds.entries())
          lines.add(
            { id: `job_${at}`, key: keyOf(at) },
            placementOf(specOf({ affinity: { prefer: { kind: `${kind}` } } })),
          );
        const planned = planAssignments(
          lines.all(),
          [node('ann', { freeSlots: slots, totalSlots: 50 })],
          OPTIONS,
        );
        assert.deepEqual(
          planned.map(({ job }) => job.id),
          kinds.map((_, at) => `job_${at}`).slice(0, slots),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('gives no node more than it has free, and a job never twice', () => {
    const lines = new Lines();
    for (let at = 0; at < 30; at += 1) lines.add({ id: `job_${at}`, key: keyOf(at) }, placementOf(specOf()));
    const nodes = [
      node('ann', { freeSlots: 3 }),
      node('bob', { freeSlots: 4 }),
      node('eve', { isSuspect: true }),
    ];
    const planned = planAssignments(lines.all(), nodes, OPTIONS);
    assert.equal(new Set(planned.map(({ job }) => job.id)).size, 7);
    assert.equal(planned.filter(({ peerId }) => peerId === 'ann').length, 3);
    assert.equal(lines.size, 23);
  });

  it('sends jobs of one affinity key to one node, though all keys wait in one line', () => {
    const lines = new Lines();
    const keys = ['red', 'green', 'blue', 'black', 'white'];
    for (let at = 0; at < 100; at += 1)
      lines.add(
        { id: `job_${at}`, key: keyOf(at) },
        placementOf(specOf({ affinity: { key: keys[at % 5] as string } })),
      );
    assert.equal([...lines.all()].length, 1);
    const nodes = ['ann', 'bob', 'eve'].map((name) => node(name, { freeSlots: 100, totalSlots: 100 }));
    const planned = planAssignments(lines.all(), nodes, OPTIONS);
    const met = new Set(planned.map(({ job, peerId }) => `${job.affinityKey} on ${peerId}`));
    assert.equal(met.size, keys.length);
    assert.ok(new Set(planned.map(({ peerId }) => peerId)).size > 1);
  });

  it('finds a job again that was put back after its line was forgotten', () => {
    const lines = new Lines();
    const [first, second] = [1, 2].map((at) => ({ id: `job_${at}`, key: keyOf(at) }));
    const placement = placementOf(specOf({ affinity: { key: 'k' } }));
    lines.add(first as { id: string; key: string }, placement);
    const [planned] = planAssignments(lines.all(), [node('ann')], OPTIONS);
    lines.remove(second as { id: string; key: string }, placement);
    assert.equal([...lines.all()].length, 0);
    assert.ok(planned);
    lines.add(planned.job, planned.line.placement);
    const [again] = planAssignments(lines.all(), [node('ann')], OPTIONS);
    assert.deepEqual(again?.job, { ...first, affinityKey: 'k' });
  });
});
