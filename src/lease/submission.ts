import { AspenError, type PeerId } from '../base/index.ts';
import type { Command, CommandOutcome } from './machine/index.ts';

/** A command and who waits for it. Exactly one of the two callbacks is called, once. */
export interface Submission {
  readonly command: Command;
  /** The command's body as this very process was given it, before it was encoded; absent for what came from elsewhere. */
  readonly given?: unknown;
  /** The command was applied: its result, or its refusal. */
  readonly onOutcome: (outcome: CommandOutcome) => void;
  /** It did not come that far; the error's `outcome` says whether it still may. */
  readonly onFailure: (error: AspenError) => void;
}

/** Nothing was proposed: another node leads, or nobody. */
export function notLeader(leader: PeerId | null): AspenError {
  return new AspenError(
    'NOT_LEADER',
    leader === null ? 'this node does not lead and knows no leader' : `${leader} leads`,
    { details: { leader } },
  );
}

/** It was proposed, and the leadership ended before anybody knew what became of it. */
export function leadershipLost(): AspenError {
  return new AspenError('UNAVAILABLE', 'the leadership ended before the command was applied', {
    outcome: 'unknown',
  });
}
