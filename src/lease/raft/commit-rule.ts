/**
 * R7 A leader counts only entries of its own term; older ones are committed with them (paper, 5.4.2 and figure 8).
 */
import type { LogIndex, PeerId, Term } from '../../base/brand.ts';
import { agreedValue } from './quorum.ts';
import type { Configuration } from './types.ts';

export interface CommitInput {
  readonly configuration: Configuration;
  /** The leader's term. */
  readonly term: Term;
  readonly commitIndex: LogIndex;
  /** What is durable at each member, the leader included. */
  readonly matchOf: (peer: PeerId) => number;
  readonly termAt: (index: number) => Term | undefined;
}

/** @returns the index up to which everything is committed; not above `commitIndex` when nothing new is. */
export type CommitRule = (input: CommitInput) => number;

export const commitByMajority: CommitRule = ({ configuration, term, commitIndex, matchOf, termAt }) => {
  const agreed = agreedValue(configuration, matchOf);
  return agreed > commitIndex && termAt(agreed) === term ? agreed : commitIndex; // R7
};
