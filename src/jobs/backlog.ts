import { candidatesFor, type NodeView } from '../affinity/index.ts';
import type { PeerId } from '../base/index.ts';
import type { Line } from './plan.ts';

/**
 * How many waiting jobs are one node's share: of each line that it could run a part of, split evenly among the nodes that could.
 *
 * - A8 Counted is what only a free slot is missing for: nothing of a line that a limit, a pause or a hook holds back, and nothing that goes to
 *   attached workers alone.
 * @param views one for each pool of a node. @param isHeld of the first job of a line.
 */
export function backlogOf(
  peerId: PeerId,
  {
    lines,
    views,
    isHeld,
  }: {
    readonly lines: Iterable<Line>;
    readonly views: readonly NodeView[];
    readonly isHeld: (line: Line) => boolean;
  },
): number {
  const own = views.filter(({ pool, isSuspect, isDraining }) => pool == null && !isSuspect && !isDraining);
  if (!own.some((view) => view.peerId === peerId)) return 0;
  let count = 0;
  for (const line of lines) {
    const { size } = line.queue;
    if (size === 0) continue;
    const able = candidatesFor(line.placement, own);
    if (!able.some((view) => view.peerId === peerId) || isHeld(line)) continue;
    count += Math.ceil(size / able.length);
  }
  return count;
}
