import { type Coordinate, estimateRttMs, hash32 } from '../base/index.ts';
import { labelOf } from './constraints.ts';
import { demandOf } from './demand.ts';
import { blobMark, type NodeView, type Placement, type Strategy } from './types.ts';

/** What one wish adds to a node's score, and why, in words. */
export interface ScorePart {
  readonly score: number;
  readonly reason: string;
}

/** What scores compare a node with. */
export interface Field {
  readonly placement: Placement;
  /** All nodes that could ever run the job, in the order of their peer ids and pools. */
  readonly nodes: readonly NodeView[];
  /** Where the node of `placement.near` is, if that is known. */
  readonly nearAt: Coordinate | undefined;
  /** The place of the node whose turn it is, for `round-robin`. */
  readonly turn: number;
}

/** Scores are needed for every node of every job, reasons only where somebody reads them. */
interface Wish {
  readonly weight: number;
  /** 0 to 1. */
  score(node: NodeView, field: Field, at: number): number;
  /** Undefined where there is nothing to say. */
  reason(node: NodeView, field: Field, at: number): string | undefined;
}

/** A round trip that is worth half as much as none at all. Unit: ms. */
const HALF_NEAR_MS = 20;

const preferredNode: Wish = {
  weight: 10_000,
  score: ({ peerId }, { placement: { node } }) => (node?.peerId === peerId ? 1 : 0),
  reason: ({ peerId }, { placement: { node } }) =>
    node?.peerId === peerId ? `is the ${node.mode}d node` : undefined,
};

const preferredLabels: Wish = {
  weight: 1_000,
  score: (node, { placement }) => {
    const wishes = Object.keys(placement.prefer ?? {});
    return wishes.length === 0 ? 0 : metLabels(node, placement).length / wishes.length;
  },
  reason: (node, { placement }) => {
    const met = metLabels(node, placement).map(
      (name) => `${name} is ${labelOf(node.labels, name) ?? 'not set'}`,
    );
    return met.length === 0 ? undefined : `label ${met.join(', ')}, as preferred`;
  },
};

/** What is not there has to be fetched before it is read. */
const dataHeld: Wish = {
  weight: 500,
  score: (node, { placement: { data = [] } }) =>
    data.length === 0 ? 0 : heldCount(node, data) / data.length,
  reason: (node, { placement: { data = [] } }) => {
    const held = heldCount(node, data);
    return held === 0 ? undefined : `holds ${held} of the ${data.length} blobs it reads`;
  },
};

const nearness: Wish = {
  weight: 100,
  score: (node, field) => {
    const rttMs = rttToNear(node, field);
    return rttMs === undefined ? 0 : HALF_NEAR_MS / (HALF_NEAR_MS + rttMs);
  },
  reason: (node, field) => {
    const { near } = field.placement;
    if (near === undefined) return undefined;
    if (near === node.peerId) return `is ${near} itself`;
    const rttMs = rttToNear(node, field);
    return rttMs === undefined
      ? `how far it is from ${near} is not known`
      : `is about ${Number(rttMs.toPrecision(2))} ms from ${near}`;
  },
};

/** Highest random weight (Thaler and Ravishankar): when a node comes or goes, only the keys that were or will be on it move. */
const rendezvous: Wish = {
  weight: 10,
  score: ({ peerId }, { placement: { key = '' } }) => hash32(peerId, hash32(key)) / 2 ** 32,
  reason: (node, field, at) =>
    `key ${field.placement.key} ranks it ${rendezvous.score(node, field, at).toFixed(3)}`,
};

const STRATEGIES: Readonly<Record<Strategy, Wish>> = {
  'least-loaded': {
    weight: 1,
    score: ({ freeSlots, totalSlots, load }) => {
      const free = freeSlots / totalSlots;
      return load === undefined ? free : (free + (1 - load)) / 2;
    },
    reason: ({ freeSlots, totalSlots }) => `${freeSlots} of ${totalSlots} slots are free`,
  },
  spread: {
    weight: 1,
    score: ({ freeSlots, totalSlots }) => 1 / (1 + Math.max(0, totalSlots - freeSlots)),
    reason: ({ freeSlots, totalSlots }) => `runs ${totalSlots - freeSlots} jobs`,
  },
  'round-robin': {
    weight: 1,
    score: (_, field, at) => 1 - turnsAway(field, at) / field.nodes.length,
    reason: (_, field, at) => {
      const turns = turnsAway(field, at);
      return turns === 0 ? 'it is its turn' : `${turns} turns away`;
    },
  },
};

/** @returns the wishes that the placement has at all, the weightiest first: each outweighs all that follow it together. */
export function wishesOf({
  node,
  prefer,
  data,
  near,
  key,
  strategy = 'least-loaded',
}: Placement): readonly Wish[] {
  const wishes: Wish[] = [];
  if (node !== undefined) wishes.push(preferredNode);
  if (prefer !== undefined && Object.keys(prefer).length > 0) wishes.push(preferredLabels);
  if (data !== undefined && data.length > 0) wishes.push(dataHeld);
  if (near !== undefined) wishes.push(nearness);
  wishes.push(key === undefined ? STRATEGIES[strategy] : rendezvous);
  return wishes;
}

/** @param at the place of the node in the field. */
export function scoreOf(wishes: readonly Wish[], node: NodeView, field: Field, at: number): number {
  let sum = 0;
  for (const wish of wishes) sum += wish.weight * wish.score(node, field, at);
  return sum;
}

/** @returns the parts of a node's score; their sum is the score. */
export function partsOf(wishes: readonly Wish[], node: NodeView, field: Field, at: number): ScorePart[] {
  return wishes.flatMap((wish) => {
    const reason = wish.reason(node, field, at);
    return reason === undefined ? [] : [{ score: wish.weight * wish.score(node, field, at), reason }];
  });
}

function metLabels({ labels }: NodeView, { prefer = {} }: Placement): string[] {
  return Object.entries(prefer)
    .filter(([label, text]) => demandOf(text).isMetBy(labelOf(labels, label)))
    .map(([label]) => label);
}

function heldCount({ blobs }: NodeView, data: readonly string[]): number {
  return blobs === undefined ? 0 : data.filter((id) => blobs.has(blobMark(id))).length;
}

function rttToNear(node: NodeView, { placement: { near }, nearAt }: Field): number | undefined {
  if (near === node.peerId) return 0;
  return nearAt === undefined || node.coordinate === undefined
    ? undefined
    : estimateRttMs(nearAt, node.coordinate);
}

function turnsAway({ nodes, turn }: Field, at: number): number {
  return (at - turn + nodes.length) % nodes.length;
}
