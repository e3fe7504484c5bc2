import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type NodeView, type Placement, rank } from '../../../src/affinity/index.ts';
import type { PeerId } from '../../../src/base/index.ts';
import { Lines } from '../../../src/jobs/lines.ts';
import { planAssignments } from '../../../src/jobs/plan.ts';

interface Waiting {
  readonly id: string;
  readonly placement: Placement;
}

const label = fc.constantFrom('1', '2');
const view = fc.record({
  labels: fc.record({ cpus: label }),
  types: fc.constantFrom(['echo'], ['paint'], ['echo', 'paint']),
  totalSlots: fc.constant(3),
  freeSlots: fc.nat(3),
  isSuspect: fc.boolean(),
});
const views = fc
  .array(view, { maxLength: 5 })
  .map((all) => all.map((one, at): NodeView => ({ ...one, peerId: `node-${at}` as PeerId, role: 'worker' })));
const placement: fc.Arbitrary<Placement> = fc.record(
  {
    type: fc.constantFrom('echo', 'paint', 'nowhere'),
    require: fc.record({ cpus: fc.constantFrom('1', '>=2', '>9') }),
    avoid: fc.constantFrom<Record<string, string>[]>({ node: 'node-0' }, { cpus: '2' }),
    strategy: fc.constantFrom('least-loaded' as const, 'spread' as const),
    key: fc.constantFrom('k', 'l'),
  },
  { requiredKeys: ['type'] },
);
const waiting = fc
  .array(placement, { maxLength: 30 })
  .map((all) =>
    all.map((one, at): Waiting => ({ id: `job_${String(at).padStart(3, '0')}`, placement: one })),
  );

/** Slow and obvious: every job in order, each ranked over all nodes as they are then. */
function twin(jobs: readonly Waiting[], nodes: readonly NodeView[], seed: number) {
  const left = nodes.map((node) => ({ ...node }));
  const given: string[] = [];
  for (const job of jobs) {
    const [first] = rank(job.placement, left, { seed: seed + given.length });
    if (first === undefined) continue;
    const node = left.find(({ peerId }) => peerId === first.peerId) as { freeSlots: number };
    node.freeSlots -= 1;
    given.push(`${job.id} to ${first.peerId}`);
  }
  return given;
}

describe('a plan against its obvious twin (P11)', () => {
  const plan = (jobs: readonly Waiting[], nodes: readonly NodeView[], seed: number) => {
    const lines = new Lines();
    for (const { id, placement: wanted } of jobs) lines.add({ id, key: id }, wanted);
    const planned = planAssignments(lines.all(), nodes, { limit: 1_000, nowMs: 0, seed });
    return planned.map(({ job, peerId }) => `${job.id} to ${peerId}`);
  };

  it('gives every job to the node that the twin does', () => {
    fc.assert(
      fc.property(waiting, views, fc.nat(), (jobs, nodes, seed) => {
        assert.deepEqual(plan(jobs, nodes, seed), twin(jobs, nodes, seed));
      }),
      { numRuns: 500 },
    );
  });

  it('is not changed by jobs that no node can take, however many stand in front', () => {
    fc.assert(
      fc.property(waiting, views, fc.nat(), fc.nat(50), (jobs, nodes, seed, count) => {
        const impossible = Array.from({ length: count }, (_, at) => ({
          id: `job_!${String(at).padStart(3, '0')}`,
          placement: { type: 'echo', require: { cpus: `>=${100 + (at % 7)}` } },
        }));
        assert.deepEqual(plan([...impossible, ...jobs], nodes, seed), plan(jobs, nodes, seed));
      }),
      { numRuns: 200 },
    );
  });

  it('changes nothing that it was given to look at', () => {
    fc.assert(
      fc.property(waiting, views, (jobs, nodes) => {
        const before = JSON.stringify(nodes);
        plan(jobs, nodes, 1);
        assert.equal(JSON.stringify(nodes), before);
      }),
      { numRuns: 50 },
    );
  });
});
