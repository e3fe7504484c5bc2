import { type Coordinate, hash32, type PeerId } from '../base/index.ts';
import { lastingReasons, passingReasons } from './constraints.ts';
import { type Field, partsOf, type ScorePart, scoreOf, wishesOf } from './scores.ts';
import type { NodeView, Placement } from './types.ts';

/** What a placement makes of one node. */
export interface Explanation {
  readonly peerId: PeerId;
  /** It could start the job now. */
  readonly fits: boolean;
  /** It could start the job now or later, once it is heard, has a free slot and is not draining. */
  readonly isEligible: boolean;
  /** Sentences without a subject, lasting reasons first; empty when it fits. */
  readonly reasons: readonly string[];
}

export interface RankedNode {
  readonly peerId: PeerId;
  /** As in its view; null where a node is viewed as a whole. */
  readonly pool: string | null;
  /** The more, the better; comparable within one ranking only. */
  readonly score: number;
  readonly reasons: readonly string[];
  /** What the score is the sum of. */
  readonly parts: readonly ScorePart[];
}

/** What a choice depends on beside placement and nodes. */
export interface RankOptions {
  /** Breaks ties. */
  readonly seed: number;
  /** Where the node of `near` is. */
  readonly nearAt?: Coordinate | undefined;
  /** The node that had the last turn of `round-robin`. */
  readonly lastTurn?: PeerId | undefined;
}

/** @returns one item a node, in the order given. */
export function explain(placement: Placement, nodes: readonly NodeView[]): Explanation[] {
  return nodes.map((node) => {
    const lasting = lastingReasons(placement, node);
    const reasons = [...lasting, ...passingReasons(node)];
    const isEligible = lastingReasons(placement, answered(node)).length === 0;
    return { peerId: node.peerId, fits: reasons.length === 0, isEligible, reasons };
  });
}

/** @returns the node as it will be once its worker has answered for what it was told to stop. */
function answered(node: NodeView): NodeView {
  const { totalSlots, unanswered } = node;
  return unanswered === undefined ? node : { ...node, totalSlots: totalSlots + unanswered.count };
}

/** The nodes that can start the job now, best first. Same input, same answer. */
export function rank(placement: Placement, nodes: readonly NodeView[], options: RankOptions): RankedNode[] {
  const candidates = candidatesFor(placement, nodes);
  const near = nodes.find(({ peerId }) => peerId === placement.near);
  const field = fieldOf(placement, candidates, { ...options, nearAt: options.nearAt ?? near?.coordinate });
  const wishes = wishesOf(placement);
  return candidates
    .flatMap((node, at) => {
      if (!isOpen(node)) return [];
      const parts = partsOf(wishes, node, field, at);
      const score = scoreOf(wishes, node, field, at);
      const { peerId, pool = null } = node;
      return [{ peerId, pool, score, parts, reasons: parts.map(({ reason }) => reason) }];
    })
    .sort((left, right) => right.score - left.score || byLot(left, right, options.seed));
}

/** @returns the nodes that could ever run the job, in their order. They stay the same while slots are taken and given back. */
export function candidatesFor(placement: Placement, nodes: readonly NodeView[]): NodeView[] {
  return nodes.filter((node) => lastingReasons(placement, node).length === 0).sort(inOrder);
}

/**
 * The first of {@link rank}, at a fraction of its cost.
 * @param candidates of {@link candidatesFor}, with the free slots as they are now.
 */
export function best(
  placement: Placement,
  candidates: readonly NodeView[],
  options: RankOptions,
): NodeView | undefined {
  const field = fieldOf(placement, candidates, options);
  const wishes = wishesOf(placement);
  let found: NodeView | undefined;
  let most = Number.NEGATIVE_INFINITY;
  for (const [at, node] of candidates.entries()) {
    if (!isOpen(node)) continue;
    const score = scoreOf(wishes, node, field, at);
    if (score < most) continue;
    if (found !== undefined && score === most && byLot(found, node, options.seed) <= 0) continue;
    found = node;
    most = score;
  }
  return found;
}

/** @returns whether any node, silent, full or draining as it may be, meets every lasting constraint. */
export function canEverFit(placement: Placement, nodes: readonly NodeView[]): boolean {
  return nodes.some((node) => lastingReasons(placement, node).length === 0);
}

/** @returns whether it takes a job at this moment. */
function isOpen({ isSuspect, isDraining, freeSlots }: NodeView): boolean {
  return !isSuspect && isDraining !== true && freeSlots > 0;
}

function fieldOf(placement: Placement, nodes: readonly NodeView[], { nearAt, lastTurn }: RankOptions): Field {
  return { placement, nodes, nearAt, turn: turnAfter(lastTurn, nodes) };
}

/** The turn goes round in the order of the nodes, on from the one that had it last, whether or not that is still there. */
function turnAfter(last: PeerId | undefined, nodes: readonly NodeView[]): number {
  return last === undefined
    ? 0
    : Math.max(
        0,
        nodes.findIndex(({ peerId }) => peerId > last),
      );
}

interface Named {
  readonly peerId: PeerId;
  readonly pool?: string | null | undefined;
}

function byLot(left: Named, right: Named, seed: number): number {
  return hash32(left.peerId, seed) - hash32(right.peerId, seed) || inOrder(left, right);
}

function inOrder(left: Named, right: Named): number {
  if (left.peerId !== right.peerId) return left.peerId < right.peerId ? -1 : 1;
  const [one, other] = [left.pool ?? '', right.pool ?? ''];
  return one < other ? -1 : one > other ? 1 : 0;
}
