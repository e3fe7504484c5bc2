import type { NodeView, Placement } from '../../src/affinity/index.ts';
import type { PeerId } from '../../src/base/index.ts';
import { Lines } from '../../src/jobs/lines.ts';
import { planAssignments } from '../../src/jobs/plan.ts';
import { type Bench, figure, repeat } from '../bench.ts';

const NODES = 100;
const WAITING = 100_000;
const ASSIGNMENTS = 1_000;
/** The first plans of a process run before the code is compiled. */
const WARM_UP = 3;

const STORIES: readonly (readonly [what: string, placementOf: (at: number) => Placement])[] = [
  ['jobs without wishes', () => PLAIN],
  ['by round robin', () => ROUND_ROBIN],
  ['jobs of 10,000 keys', (at) => ({ type: 'echo', key: `k${at % 10_000}` })],
  ['in 100 lines, half of which no node fits', (at) => ({ type: 'echo', require: { rack: `r${at % 100}` } })],
];
const PLAIN: Placement = { type: 'echo' };
const ROUND_ROBIN: Placement = { type: 'echo', strategy: 'round-robin' };

export const plan: Bench = {
  name: 'plan',
  method: `One plan in this process: ${ASSIGNMENTS} assignments over ${NODES} nodes with 10 slots each, from ${WAITING} waiting jobs; no mesh, no disk.`,
  async run({ runCount }) {
    const figures = [];
    for (const [what, placementOf] of STORIES) {
      for (let at = 0; at < WARM_UP; at += 1) planOnce(placementOf);
      const runs = await repeat(runCount, async () => planOnce(placementOf));
      figures.push(figure(`${ASSIGNMENTS} assignments, ${what}`, 'ms', runs));
    }
    return figures;
  },
};

/** @returns how long the plan took, in ms. */
function planOnce(placementOf: (at: number) => Placement): number {
  const lines = new Lines();
  for (let at = 0; at < WAITING; at += 1) {
    const id = `job_${String(at).padStart(8, '0')}`;
    lines.add({ id, key: id }, placementOf(at));
  }
  const nodes = Array.from({ length: NODES }, (_, at) => nodeAt(at));
  const startMs = performance.now();
  const planned = planAssignments(lines.all(), nodes, { limit: ASSIGNMENTS, nowMs: 0, seed: 1 });
  const tookMs = performance.now() - startMs;
  if (planned.length < ASSIGNMENTS / 2) throw new Error(`only ${planned.length} assignments were planned`);
  return tookMs;
}

function nodeAt(at: number): NodeView {
  return {
    peerId: `12D3KooW${String(at).padStart(44, 'x')}` as PeerId,
    pool: null,
    role: 'worker',
    labels: { rack: `r${at % 50}` },
    types: ['echo'],
    totalSlots: 10,
    freeSlots: 10,
    isSuspect: false,
  };
}
