import assert from 'node:assert/strict';
import fc from 'fast-check';
import { candidatesFor, type NodeView, type Placement, rank } from '../../../src/affinity/index.ts';
import type { PeerId } from '../../../src/base/index.ts';
import { Lines } from '../../../src/jobs/lines.ts';
import { planAssignments } from '../../../src/jobs/plan.ts';

interface Waiting {
  readonly id: string;
  readonly placement: Placement;
}

const view = fc.record({
  at: fc.nat(4),
  labels: fc.record({ cpus: fc.constantFrom('1', '2') }),
  types: fc.constantFrom(['echo'], ['paint'], ['echo', 'paint']),
  totalSlots: fc.constant(3),
  freeSlots: fc.nat(3),
  isSuspect: fc.boolean(),
  isDraining: fc.boolean(),
});
/** Some nodes offer several pools. */
const views = fc.array(view, { maxLength: 7 }).map((all) =>
  all.map(
    ({ at, ...one }, place): NodeView => ({
      ...one,
      peerId: `node-${at}` as PeerId,
      pool: `wrk_${place}`,
      role: 'worker',
    }),
  ),
);
const placement: fc.Arbitrary<Placement> = fc.record(
  {
    type: fc.constantFrom('echo', 'paint'),
    require: fc.record({ cpus: fc.constantFrom('1', '>=2') }),
    strategy: fc.constantFrom('least-loaded' as const, 'spread' as const),
    key: fc.constantFrom('k', 'l'),
    nodes: fc.constantFrom(2, 3, 4),
  },
  { requiredKeys: ['type'] },
);
const waiting = fc
  .array(placement, { maxLength: 25 })
  .map((all) =>
    all.map((one, at): Waiting => ({ id: `job_${String(at).padStart(3, '0')}`, placement: one })),
  );

type Counted = { freeSlots: number } & NodeView;

/** Slow and obvious: every job in order; a group takes the first nodes of its ranking, and keeps them to itself where they are too few. */
function twin(jobs: readonly Waiting[], nodes: readonly NodeView[], seed: number): string[] {
  const left = nodes.map((node): Counted => ({ ...node }));
  const given: string[] = [];
  const keeping = new Set<string>();
  for (const { id, placement: wanted } of jobs) {
    const { nodes: count = 1, key: _, ...others } = wanted;
    const demands = JSON.stringify([count, others]);
    const heard = candidatesFor(wanted, left).filter((node) => !node.isSuspect && !node.isDraining);
    if (keeping.has(demands) || new Set(heard.map(({ peerId }) => peerId)).size < count) continue;
    const ranked = rank(wanted, left, { seed: seed + given.length });
    const firsts = ranked.filter(({ peerId }, at) => ranked.findIndex((one) => one.peerId === peerId) === at);
    const taken = firsts.slice(0, count);
    if (count === 1 && taken.length === 0) continue;
    for (const { pool } of taken) (left.find((node) => node.pool === pool) as Counted).freeSlots -= 1;
    if (taken.length === count) given.push(`${id} to ${taken.map(({ pool }) => pool).join()}`);
    else keeping.add(demands);
  }
  return given;
}

describe('a plan with groups', () => {
  const planned = (jobs: readonly Waiting[], nodes: readonly NodeView[], seed: number) => {
    const lines = new Lines();
    for (const { id, placement: wanted } of jobs) lines.add({ id, key: id }, wanted);
    return planAssignments(lines.all(), nodes, { limit: 1_000, nowMs: 0, seed });
  };
  const placesOf = ({ peerId, pool, others = [] }: ReturnType<typeof planned>[number]) => [
    { peerId, pool },
    ...others,
  ];

  it('is that of its obvious twin (G4, P11)', () => {
    fc.assert(
      fc.property(waiting, views, fc.nat(), (jobs, nodes, seed) => {
        const plan = planned(jobs, nodes, seed).map(
          (one) => `${one.job.id} to ${placesOf(one).map(({ pool }) => pool)}`,
        );
        assert.deepEqual(plan, twin(jobs, nodes, seed));
      }),
      { numRuns: 1_000 },
    );
  });

  it('gives a group all of its nodes, each once, or none, and no pool more than its slots (G1)', () => {
    fc.assert(
      fc.property(waiting, views, fc.nat(), (jobs, nodes, seed) => {
        const used = new Map<string | null, number>();
        for (const one of planned(jobs, nodes, seed)) {
          const wanted = jobs.find(({ id }) => id === one.job.id)?.placement.nodes ?? 1;
          const places = placesOf(one);
          assert.equal(new Set(places.map(({ peerId }) => peerId)).size, wanted);
          for (const { pool } of places) used.set(pool, (used.get(pool) ?? 0) + 1);
        }
        for (const { pool = null, freeSlots } of nodes) assert.ok((used.get(pool) ?? 0) <= freeSlots);
      }),
      { numRuns: 500 },
    );
  });

  const node = (name: string, freeSlots: number): NodeView => ({
    peerId: name as PeerId,
    role: 'worker',
    labels: {},
    types: ['echo'],
    totalSlots: 2,
    freeSlots,
    isSuspect: false,
  });
  const job = (id: string, nodes?: number): Waiting => ({
    id,
    placement: { type: 'echo', ...(nodes !== undefined && { nodes }) },
  });
  const ids = (jobs: readonly Waiting[], nodes: readonly NodeView[]) =>
    planned(jobs, nodes, 1).map((one) => `${one.job.id} to ${placesOf(one).map(({ peerId }) => peerId)}`);

  it('keeps a slot of each free node for a group that waits for a full one, from what is less urgent only (G4)', () => {
    const nodes = [node('ann', 1), node('bob', 0)];
    assert.deepEqual(ids([job('a', 2), job('b'), job('c')], nodes), []);
    assert.deepEqual(ids([job('a'), job('b', 2), job('c')], nodes), ['a to ann']);
    assert.deepEqual(ids([job('a', 2), job('b')], [node('ann', 2), node('bob', 0)]), ['b to ann']);
  });

  it('keeps nothing for a group for which there are not enough nodes', () => {
    assert.deepEqual(ids([job('a', 3), job('b')], [node('ann', 1), node('bob', 0)]), ['b to ann']);
  });

  it('lets two groups that want each the same nodes run one after the other', () => {
    const nodes = [node('ann', 1), node('bob', 1)];
    assert.deepEqual(
      ids([job('a', 2), job('b', 2)], nodes).map((told) => told.slice(0, 1)),
      ['a'],
    );
  });
});
