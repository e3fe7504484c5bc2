import { AspenError, type LogIndex, type PeerId, type Term } from '../base/index.ts';
import { compareEpochs, type Epoch } from './epoch.ts';
import type { Configuration } from './raft/index.ts';

/** What one member still holds of the group, by its own word. */
export interface Standing {
  readonly peerId: PeerId;
  readonly epoch: Epoch;
  /** Of its last entry. */
  readonly lastTerm: Term;
  readonly lastIndex: LogIndex;
  readonly commitIndex: LogIndex;
  readonly configuration: Configuration;
  /** Whom it follows now, or itself. */
  readonly leader: PeerId | null;
}

export interface RecoveryPlan {
  /** The survivor that goes on with what it holds. */
  readonly on: PeerId;
  readonly epoch: Epoch;
  /** The best first. */
  readonly survivors: readonly Standing[];
  readonly missing: readonly PeerId[];
  readonly mayBeLost: readonly string[];
}

/**
 * What a recovery would do. Pure.
 *
 * - E1 While a leader is known, or a majority of the voters answers, nothing is recovered: the group mends itself.
 * - E2 The survivor that knows most goes on, unless an operator insists on another.
 * - E3 The new epoch is later than every one that any survivor knows.
 *
 * @throws AspenError CONFLICT (E1, E2), NOT_FOUND when no survivor holds anything.
 */
export function planRecovery(
  standings: readonly Standing[],
  { on, force = false }: { readonly on?: PeerId; readonly force?: boolean } = {},
): RecoveryPlan {
  const survivors = standings
    .filter(({ configuration }) => configuration.voters.length > 0)
    .sort((left, right) => compareStandings(right, left) || (left.peerId < right.peerId ? -1 : 1));
  const best = survivors[0];
  if (best === undefined) {
    throw new AspenError(
      'NOT_FOUND',
      'no member that can be reached holds the data of the group: start a voter or standby, or restore a backup',
    );
  }
  refuseWhileWell(best, survivors);
  const chosen = on === undefined ? best : survivors.find(({ peerId }) => peerId === on);
  if (chosen === undefined) {
    throw new AspenError('NOT_FOUND', `${on} was not reached, or holds nothing of the group`);
  }
  if (!force && compareStandings(chosen, best) < 0) {
    throw new AspenError(
      'CONFLICT',
      `${best.peerId} knows more (entry ${best.lastIndex}) than ${chosen.peerId} (entry ${chosen.lastIndex}): recover on that one, or add --force`,
      { details: { current: best.peerId } },
    );
  }
  const { voters, outgoing, learners } = best.configuration;
  const answered = new Set(survivors.map(({ peerId }) => peerId));
  const missing = [...new Set([...voters, ...outgoing, ...learners])].filter((peer) => !answered.has(peer));
  const number = Math.max(...standings.map(({ epoch }) => epoch.number)) + 1; // E3
  return {
    on: chosen.peerId,
    epoch: { number, by: chosen.peerId },
    survivors,
    missing,
    mayBeLost: lossesOf(chosen, best, missing),
  };
}

/** By epoch, then as an election would. */
function compareStandings(left: Standing, right: Standing): number {
  return (
    compareEpochs(left.epoch, right.epoch) ||
    left.lastTerm - right.lastTerm ||
    left.lastIndex - right.lastIndex
  );
}

/** E1 */
function refuseWhileWell(best: Standing, survivors: readonly Standing[]): void {
  const current = survivors.filter(({ epoch }) => compareEpochs(epoch, best.epoch) === 0);
  const led = current.find(({ leader }) => leader !== null);
  if (led !== undefined) {
    throw new AspenError(
      'CONFLICT',
      `${led.leader} leads the group as ${led.peerId} knows it: nothing is to be recovered (a leader lost just now is forgotten in a few seconds)`,
      { details: { current: led.leader } },
    );
  }
  const { voters, outgoing } = best.configuration;
  const answers = new Set(current.map(({ peerId }) => peerId));
  const hasMajority = (half: readonly PeerId[]) =>
    half.length === 0 || half.filter((peer) => answers.has(peer)).length > half.length / 2;
  if (!hasMajority(voters) || !hasMajority(outgoing)) return;
  throw new AspenError(
    'CONFLICT',
    `${answers.size} of ${voters.length} voters answer, which is enough: they elect a leader by themselves within seconds`,
    { details: { current: [...answers] } },
  );
}

function lossesOf(chosen: Standing, best: Standing, missing: readonly PeerId[]): string[] {
  const losses: string[] = [];
  if (missing.length > 0) {
    losses.push(
      `whatever only ${missing.join(', ')} held: all that was acknowledged after entry ${chosen.lastIndex}`,
    );
  }
  if (compareStandings(chosen, best) < 0) {
    losses.push(`entries ${chosen.lastIndex + 1} to ${best.lastIndex}, which ${best.peerId} still holds`);
  }
  return losses;
}
