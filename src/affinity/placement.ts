import { hash32, type PeerId } from '../base/index.ts';
import { lastingReasons, passingReasons } from './constraints.ts';
import { sharesOf } from './scores.ts';
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
}

/** @returns one item a node, in the order given. */
export function explain(placement: Placement, nodes: readonly NodeView[]): Explanation[] {
  return nodes.map((node) => {
    const lasting = lastingReasons(placement, node);
    const reasons = [...lasting, ...passingReasons(node)];
    return { peerId: node.peerId, fits: reasons.length === 0, isEligible: lasting.length === 0, reasons };
  });
}

/**
 * The nodes that can start the job now, best first.
 * @param seed breaks ties, and counts turns for `round-robin`: a whole number that grows by one a job. Same input, same answer.
 */
export function rank(placement: Placement, nodes: readonly NodeView[], seed: number): RankedNode[] {
  const fitting = nodes.filter((node) => isFitting(placement, node)).toSorted(byPeerId);
  const near = nodes.find(({ peerId }) => peerId === placement.near);
  const field = { placement, nodes: fitting, near, seed };
  return fitting
    .map((node) => {
      const shares = sharesOf(node, field);
      const score = shares.reduce((sum, share) => sum + share.score, 0);
      return {
        peerId: node.peerId,
        pool: node.pool ?? null,
        score,
        reasons: shares.map(({ reason }) => reason),
      };
    })
    .sort((left, right) => right.score - left.score || byLot(left, right, seed));
}

/** @returns whether any node, silent, full or draining as it may be, meets every lasting constraint. */
export function canEverFit(placement: Placement, nodes: readonly NodeView[]): boolean {
  return nodes.some((node) => lastingReasons(placement, node).length === 0);
}

function isFitting(placement: Placement, node: NodeView): boolean {
  return passingReasons(node).length === 0 && lastingReasons(placement, node).length === 0;
}

function byLot(left: { peerId: PeerId }, right: { peerId: PeerId }, seed: number): number {
  return hash32(left.peerId, seed) - hash32(right.peerId, seed) || byPeerId(left, right);
}

function byPeerId(left: { peerId: PeerId }, right: { peerId: PeerId }): number {
  return left.peerId < right.peerId ? -1 : left.peerId > right.peerId ? 1 : 0;
}
