import type { PeerId } from '../base/index.ts';
import { bestSuccessor } from './best-successor.ts';
import { isQuorum, type RaftState } from './raft/index.ts';

export interface HandOverSituation {
  readonly state: RaftState;
  readonly self: PeerId;
  /** Who is wished for. */
  readonly to: PeerId | undefined;
  /** To whom it is being handed over. */
  readonly chosen: PeerId | undefined;
  readonly isLinked: (peer: PeerId) => boolean;
}

/**
 * G5 A leader that hands over waits for nobody who is gone: with the link of its successor it takes the next one, and where those that are left
 * can elect nobody there is nothing to wait for.
 *
 * @returns to whom the leadership is to go now; undefined when nobody can take it.
 */
export function nextSuccessor({ state, self, to, chosen, isLinked }: HandOverSituation): PeerId | undefined {
  if (!isQuorum(state.configuration, (peer) => peer === self || isLinked(peer))) return undefined;
  if (chosen !== undefined && isLinked(chosen)) return chosen;
  return to ?? bestSuccessor(state, self, isLinked);
}
