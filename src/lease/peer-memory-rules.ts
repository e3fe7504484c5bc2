import type { LogIndex, Term } from '../base/index.ts';
import { compareEpochs, type Epoch } from './epoch.ts';

/** How far a replica has come. It only grows, see {@link isBehind}. */
export interface Position {
  readonly epoch: Epoch;
  /** The present term, not that of the last entry. */
  readonly term: Term;
  readonly index: LogIndex;
}

/** Which life of a node wrote a store last. */
export interface Owner {
  readonly incarnation: string;
  /** Boot counter of the last start that took part in the group. */
  readonly bootCount: number;
}

/** What a node says of its own store when it is linked. */
export interface Claim {
  readonly owner: Owner;
  readonly position: Position;
  /** Of the process that asks: another one than the owner's in a directory that was copied or moved. */
  readonly incarnation: string;
}

/** What a member remembers of another one. */
export interface Remembered {
  readonly owner: Owner;
  /** The furthest that it acknowledged; null where it never acknowledged anything here. */
  readonly position: Position | null;
  /** Lives that are over, the latest last; at most {@link RETIRED_LIMIT}. */
  readonly retired: readonly string[];
}

export const RETIRED_LIMIT = 16;

/**
 * Whether `claimed` comes before what was acknowledged at `known`.
 *
 * - W1 A replica that has acknowledged entry i in term t is in term t with at least i entries, or in a later term, for ever: a log is cut
 *   back only by the leader of a later term. Whoever claims less has lost something. Lengths are therefore not compared across terms.
 */
export function isBehind(claimed: Position, known: Position): boolean {
  const order = compareEpochs(claimed.epoch, known.epoch);
  if (order !== 0) return order < 0;
  if (claimed.term !== known.term) return claimed.term < known.term;
  return claimed.index < known.index;
}

/**
 * W2 A store that an ended life wrote, that has missed a start, or that is behind what it acknowledged, does not count.
 * @returns why not, in words that go on from "the store of this node"; null when nothing speaks against it.
 */
export function objectionTo(
  { owner, position }: Pick<Claim, 'owner' | 'position'>,
  known: Remembered | undefined,
): string | null {
  if (known === undefined) return null;
  if (owner.incarnation !== known.owner.incarnation) {
    return known.retired.includes(owner.incarnation)
      ? 'is of an earlier life of it: a copy was put back'
      : null;
  }
  if (owner.bootCount < known.owner.bootCount) {
    return `is of start ${owner.bootCount}, and it has taken part since start ${known.owner.bootCount}: an older copy was put back`;
  }
  if (known.position !== null && isBehind(position, known.position)) {
    return `ends at entry ${position.index} of term ${position.term}, and it has acknowledged entry ${known.position.index} of term ${known.position.term}: an older copy was put back`;
  }
  return null;
}

/** What is remembered once a node has said which life it is in. A new life owes nothing that the old one acknowledged. */
export function afterStart(known: Remembered | undefined, owner: Owner): Remembered {
  if (known === undefined) return { owner, position: null, retired: [] };
  if (known.owner.incarnation === owner.incarnation) {
    return { ...known, owner: owner.bootCount > known.owner.bootCount ? owner : known.owner };
  }
  const retired = known.retired.filter((incarnation) => incarnation !== owner.incarnation);
  return { owner, position: null, retired: [...retired, known.owner.incarnation].slice(-RETIRED_LIMIT) };
}

/** What is remembered once a node has acknowledged `position`. @returns the same object when that is no more than before. */
export function afterAcknowledgment(known: Remembered, position: Position): Remembered {
  if (known.position !== null && !isBehind(known.position, position)) return known;
  return { ...known, position };
}

/**
 * How many other voters must agree before a node takes part with the store it has.
 *
 * - W3 With itself a majority, as an election takes: nothing it could do needs fewer.
 * - W4 A copy of a directory asks a majority without itself, so that in any majority that the original may be part of somebody was asked.
 */
export function answersNeeded(voterCount: number, isCopy: boolean): number {
  const majority = Math.floor(voterCount / 2) + 1;
  return Math.min(voterCount - 1, isCopy ? majority : majority - 1);
}
