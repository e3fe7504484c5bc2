import { canEverFit, type NodeView, type Placement, rank } from '../affinity/index.ts';
import type { PeerId } from '../base/index.ts';
import type { ReadyJob, ReadyQueue } from './ready-queue.ts';
import type { JobSpec } from './spec.ts';

/** Jobs with equal demands wait in one line: when its first cannot be placed now, neither can the others. */
export interface Line {
  readonly placement: Placement;
  readonly queue: ReadyQueue;
  /** When a free node was first passed over for a preferred one; null while nobody is waited for. */
  preferredSinceMs: number | null;
}

export interface PlannedAssignment {
  readonly job: ReadyJob;
  readonly line: Line;
  readonly peerId: PeerId;
}

export interface PlanOptions {
  /** Most assignments of one plan. */
  readonly limit: number;
  readonly nowMs: number;
  /** Shifts ties between equal nodes. */
  readonly seed: number;
}

/**
 * Gives the jobs at the front of their lines to the best nodes with a free slot, in the order of the lines' first jobs. What it
 * takes is taken from the queues; the caller puts back what is refused.
 * @param nodes as of now; `freeSlots` is counted down here, on copies.
 */
export function planAssignments(
  lines: Iterable<Line>,
  nodes: readonly NodeView[],
  { limit, nowMs, seed }: PlanOptions,
): PlannedAssignment[] {
  const views = nodes.map((node) => ({ ...node }));
  const open = [...lines].filter(({ queue }) => queue.size > 0);
  const planned: PlannedAssignment[] = [];
  while (planned.length < limit && open.length > 0 && views.some(({ freeSlots }) => freeSlots > 0)) {
    const at = firstLine(open);
    const line = open[at] as Line;
    const peerId = chooseNode(line, views, nowMs, seed + planned.length);
    if (peerId === undefined) {
      open.splice(at, 1);
      continue;
    }
    planned.push({ job: line.queue.take() as ReadyJob, line, peerId });
    const view = views.find((candidate) => candidate.peerId === peerId) as { freeSlots: number };
    view.freeSlots -= 1;
    if (line.queue.size === 0) open.splice(at, 1);
  }
  return planned;
}

/** Which demands a job has; jobs with equal ones share a line. */
export function placementOf({ type, affinity }: JobSpec): Placement {
  const { node, require, prefer, avoid, key, strategy, waitMs } = affinity;
  return {
    type,
    ...(node !== null && { node: { peerId: node.peerId as PeerId, mode: node.mode } }),
    require,
    prefer,
    avoid,
    ...(key !== null && { key }),
    strategy,
    waitMs,
  };
}

function firstLine(lines: readonly Line[]): number {
  let first = 0;
  for (let at = 1; at < lines.length; at += 1) {
    if ((lines[at]?.queue.peek()?.key ?? '') < (lines[first]?.queue.peek()?.key ?? '')) first = at;
  }
  return first;
}

/** A preferred node that could take the job later is waited for, but not longer than `waitMs`. */
function chooseNode(line: Line, views: readonly NodeView[], nowMs: number, seed: number): PeerId | undefined {
  const { placement } = line;
  const best = rank(placement, views, seed)[0]?.peerId;
  const preferred = placement.node?.mode === 'prefer' ? placement.node.peerId : undefined;
  if (best === undefined || preferred === undefined || best === preferred) {
    line.preferredSinceMs = null;
    return best;
  }
  if (
    !canEverFit(
      placement,
      views.filter(({ peerId }) => peerId === preferred),
    )
  )
    return best;
  line.preferredSinceMs ??= nowMs;
  return nowMs - line.preferredSinceMs >= (placement.waitMs ?? 0) ? best : undefined;
}
