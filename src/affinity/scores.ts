import { estimateRttMs, hash32 } from '../base/index.ts';
import { labelOf } from './constraints.ts';
import { demandOf } from './demand.ts';
import type { NodeView, Placement, Strategy } from './types.ts';

/** What one wish adds to a node's score, and why, in words. */
export interface Share {
  readonly score: number;
  readonly reason: string;
}

/** What a wish that is met in full weighs: each outweighs all that follow it together. */
const WEIGHTS = { node: 10_000, labels: 1_000, near: 100, key: 10, strategy: 1 } as const;

/** A round trip that is worth half as much as none at all. Unit: ms. */
const HALF_NEAR_MS = 20;

/** What scores compare a node with. */
export interface Field {
  readonly placement: Placement;
  /** All fitting nodes, in the order of their peer ids. */
  readonly nodes: readonly NodeView[];
  /** The node of `placement.near`, if its view is known. */
  readonly near: NodeView | undefined;
  readonly seed: number;
}

/** @returns the parts of a node's score; their sum is the score. */
export function sharesOf(node: NodeView, field: Field): Share[] {
  return [
    ...preferredNode(node, field),
    ...preferredLabels(node, field),
    ...nearness(node, field),
    ...(field.placement.key === undefined
      ? [byStrategy(node, field)]
      : [rendezvous(node, field.placement.key)]),
  ];
}

function preferredNode({ peerId }: NodeView, { placement: { node } }: Field): Share[] {
  return node?.peerId === peerId ? [{ score: WEIGHTS.node, reason: `is the ${node.mode}d node` }] : [];
}

function preferredLabels({ labels }: NodeView, { placement: { prefer = {} } }: Field): Share[] {
  const wishes = Object.entries(prefer);
  return wishes
    .filter(([label, text]) => demandOf(text).isMetBy(labelOf(labels, label)))
    .map(([label]) => ({
      score: WEIGHTS.labels / wishes.length,
      reason: `label ${label} is ${labelOf(labels, label) ?? 'not set'}, as preferred`,
    }));
}

function nearness(node: NodeView, { near }: Field): Share[] {
  if (near === undefined) return [];
  if (near.peerId === node.peerId) return [{ score: WEIGHTS.near, reason: `is ${near.peerId} itself` }];
  if (near.coordinate === undefined || node.coordinate === undefined) return [];
  const rttMs = estimateRttMs(near.coordinate, node.coordinate);
  return [
    {
      score: WEIGHTS.near * (HALF_NEAR_MS / (HALF_NEAR_MS + rttMs)),
      reason: `is about ${Number(rttMs.toPrecision(2))} ms from ${near.peerId}`,
    },
  ];
}

/** Highest random weight (Thaler and Ravishankar): when a node comes or goes, only the keys that were or will be on it move. */
function rendezvous({ peerId }: NodeView, key: string): Share {
  const share = hash32(peerId, hash32(key)) / 2 ** 32;
  return { score: WEIGHTS.key * share, reason: `key ${key} ranks it ${share.toFixed(3)}` };
}

function byStrategy(node: NodeView, field: Field): Share {
  const share = STRATEGIES[field.placement.strategy ?? 'least-loaded'](node, field);
  return { ...share, score: WEIGHTS.strategy * share.score };
}

const STRATEGIES: Readonly<Record<Strategy, (node: NodeView, field: Field) => Share>> = {
  'least-loaded': ({ freeSlots, totalSlots, load }) => ({
    score: (freeSlots / totalSlots + (1 - (load ?? 1 - freeSlots / totalSlots))) / 2,
    reason: `${freeSlots} of ${totalSlots} slots are free`,
  }),
  spread: ({ freeSlots, totalSlots }) => ({
    score: 1 / (1 + totalSlots - freeSlots),
    reason: `runs ${totalSlots - freeSlots} jobs`,
  }),
  'round-robin': (node, { nodes, seed }) => {
    const at = nodes.indexOf(node);
    const turn = (((at - seed) % nodes.length) + nodes.length) % nodes.length;
    return { score: 1 - turn / nodes.length, reason: turn === 0 ? 'it is its turn' : `${turn} turns away` };
  },
};
