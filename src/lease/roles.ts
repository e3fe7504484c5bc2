import type { PeerId } from '../base/index.ts';
import type { MemberObservation } from './member-observation.ts';
import type { Configuration, ConfigurationChange } from './raft/index.ts';
import { byPreference, compareFitness, type Fitness, fitnessOf } from './role-preference.ts';

export interface RolesOptions {
  /** Voters aimed at. @default 3 */
  readonly voters?: 1 | 3 | 5 | 7;
  /** Learners kept beside them. @default 3 */
  readonly standbys?: number;
  /** A voter or standby that is gone this long is replaced. Unit: ms. @default 30_000 */
  readonly graceMs?: number;
  /** A member must be connected this long before it is taken in. Unit: ms. @default 1_000 */
  readonly settleMs?: number;
  /** A standby must have been there this long before it takes the place of a voter that is worse but well. Unit: ms. @default 600_000 */
  readonly improveAfterMs?: number;
}

export interface RolesInput {
  /** The leader, who decides. */
  readonly self: PeerId;
  readonly members: readonly MemberObservation[];
  readonly configuration: Configuration;
  /** Learners whose log is close to the leader's. */
  readonly caughtUp: ReadonlySet<PeerId>;
}

type Change = { -readonly [K in keyof Required<ConfigurationChange>]: PeerId[] };

/**
 * Who should vote and who should stand by. Pure: the same view of the mesh gives the same answer.
 *
 * - O1 One voter while fewer than three members are eligible; an odd number always, unless a voter just left.
 * - O2 A voter only becomes one after it was a learner that caught up.
 * - O3 No change leaves fewer connected voters than a majority of the new configuration needs.
 * - O4 Being away shrinks nothing: an absent voter is replaced after its grace period, when somebody can take its place.
 * - O5 The deciding leader is never taken out here; it hands over first.
 * - O6 At most one absent voter is replaced in a step, so two votes are never given up at once.
 * - O7 A voter that is well gives way only to one that is better by kind, never by age, and only after that one has been there long: roles
 *   do not swing.
 *
 * @returns one step towards that, or null when nothing is to be done.
 */
export function decideRoles(input: RolesInput, options: RolesOptions = {}): ConfigurationChange | null {
  if (input.configuration.outgoing.length > 0) return null;
  const view = new RolesView(input, options);
  const change = view.voterChange() ?? view.learnerChange();
  return change === null ? null : compact(change);
}

class RolesView {
  readonly #input: RolesInput;
  readonly #options: Required<RolesOptions>;
  readonly #members: ReadonlyMap<PeerId, MemberObservation>;

  constructor(input: RolesInput, options: RolesOptions) {
    const {
      voters = 3,
      standbys = 3,
      graceMs = 30_000,
      settleMs = 1_000,
      improveAfterMs = 600_000,
    } = options;
    this.#input = input;
    this.#options = { voters, standbys, graceMs, settleMs, improveAfterMs };
    this.#members = new Map(input.members.map((member) => [member.peerId, member]));
  }

  voterChange(): Change | null {
    const { voters } = this.#input.configuration;
    const gone = voters.filter((peer) => this.#isGone(peer));
    const staying = voters.filter((peer) => !gone.includes(peer));
    const promotable = this.#promotable();
    const change = none();
    change.remove = gone;
    const missing = this.#targetVoters() - staying.length;
    if (missing > 0)
      change.promote = promotable.slice(0, oddGrowth(staying.length, missing, promotable.length));
    else if (missing < 0) change.demote = this.#leastNeeded(staying).slice(0, -missing);
    else this.#replaceDead(change, staying, promotable);
    if (isEmpty(change)) this.#improve(change, staying, promotable);
    return isEmpty(change) || !this.#keepsQuorum(change) ? null : change;
  }

  learnerChange(): Change | null {
    const { learners, voters } = this.#input.configuration;
    const change = none();
    const gone = learners.filter((peer) => this.#isGone(peer));
    const newcomers = this.#byPreference(
      this.#input.members
        .filter(({ peerId }) => !learners.includes(peerId) && !voters.includes(peerId))
        .filter((member) => this.#isSettled(member))
        .map(({ peerId }) => peerId),
    );
    const present = learners.filter((peer) => !gone.includes(peer));
    const dead = present.filter((peer) => this.#isDead(peer)).slice(0, newcomers.length);
    const kept = present.filter((peer) => !dead.includes(peer));
    const wanted = Math.max(this.#options.standbys, this.#targetVoters() - voters.length);
    change.addLearners = newcomers.slice(0, Math.max(0, wanted - kept.length));
    change.remove = [...gone, ...dead.slice(0, change.addLearners.length), ...this.#excess(kept, wanted)];
    return isEmpty(change) ? null : change;
  }

  /** O1. */
  #targetVoters(): number {
    const eligible = this.#input.members.filter(({ isEligible }) => isEligible).length;
    const most = Math.max(1, Math.min(this.#options.voters, eligible));
    return most % 2 === 1 ? most : most - 1;
  }

  /** O4: voters that are away too long, each only together with its successor. */
  #replaceDead(change: Change, voters: readonly PeerId[], promotable: readonly PeerId[]): void {
    const dead = voters.filter((peer) => this.#isDead(peer)).slice(0, Math.min(1, promotable.length)); // O6
    change.promote = promotable.slice(0, dead.length);
    change.remove.push(...dead);
  }

  /** O7: one at a time, and only while everybody is there. */
  #improve(change: Change, voters: readonly PeerId[], promotable: readonly PeerId[]): void {
    if (voters.length < this.#targetVoters() || !voters.every((peer) => this.#isConnected(peer))) return;
    const worst = this.#leastNeeded(voters)[0];
    if (worst === undefined) return;
    const taken = this.#zonesOf(voters.filter((peer) => peer !== worst));
    const own = fitnessOf(this.#members.get(worst), taken);
    const better = byPreference(promotable, this.#members, taken).find((peer) => {
      const member = this.#members.get(peer);
      if (member === undefined || member.stateForMs < this.#options.improveAfterMs) return false;
      return compareFitness(fitnessOf(member, taken), own) < 0;
    });
    if (better === undefined) return;
    change.promote = [better];
    change.demote = [worst];
  }

  /** O3. */
  #keepsQuorum({ promote, demote, remove }: Change): boolean {
    const after = new Set([...this.#input.configuration.voters, ...promote]);
    for (const peer of [...demote, ...remove]) after.delete(peer);
    const connected = [...after].filter((peer) => this.#isConnected(peer)).length;
    return connected > after.size / 2;
  }

  /** O2. */
  #promotable(): PeerId[] {
    const { learners } = this.#input.configuration;
    const { caughtUp } = this.#input;
    return this.#byPreference(
      learners.filter((peer) => {
        const member = this.#members.get(peer);
        return caughtUp.has(peer) && member !== undefined && this.#isSettled(member);
      }),
    );
  }

  /** Voters or learners other than oneself, the one that would be missed least first. */
  #leastNeeded(peers: readonly PeerId[]): PeerId[] {
    const others = peers.filter((peer) => peer !== this.#input.self);
    const fitness = new Map(
      others.map((peer) => [
        peer,
        fitnessOf(
          this.#members.get(peer),
          this.#zonesOf(this.#input.configuration.voters.filter((voter) => voter !== peer)),
        ),
      ]),
    );
    const age = (peer: PeerId) => this.#members.get(peer)?.stateForMs ?? 0;
    return others.sort(
      (left, right) =>
        Number(this.#isConnected(left)) - Number(this.#isConnected(right)) ||
        compareFitness(fitness.get(right) as Fitness, fitness.get(left) as Fitness) ||
        age(left) - age(right) ||
        (left < right ? 1 : -1),
    );
  }

  #excess(learners: readonly PeerId[], wanted: number): PeerId[] {
    return learners.length > wanted ? this.#leastNeeded(learners).slice(0, learners.length - wanted) : [];
  }

  #byPreference(peers: readonly PeerId[]): PeerId[] {
    return byPreference(peers, this.#members, this.#zonesOf(this.#input.configuration.voters));
  }

  #zonesOf(peers: readonly PeerId[]): ReadonlySet<string | null> {
    return new Set(peers.map((peer) => this.#members.get(peer)?.zone ?? null));
  }

  /** No longer a member, or one without the right to vote. O5: never oneself. */
  #isGone(peer: PeerId): boolean {
    return peer !== this.#input.self && this.#members.get(peer)?.isEligible !== true;
  }

  #isDead(peer: PeerId): boolean {
    const stateForMs = this.#members.get(peer)?.stateForMs ?? 0;
    return !this.#isConnected(peer) && stateForMs >= this.#options.graceMs;
  }

  #isConnected(peer: PeerId): boolean {
    return peer === this.#input.self || this.#members.get(peer)?.isConnected === true;
  }

  #isSettled({ isEligible, isConnected, stateForMs }: MemberObservation): boolean {
    return isEligible && isConnected && stateForMs >= this.#options.settleMs;
  }
}

/** @returns how many to add so that the number of voters is odd; 0 when that cannot be reached now. */
function oddGrowth(voters: number, missing: number, available: number): number {
  for (let count = Math.min(missing, available); count > 0; count -= 1) {
    if ((voters + count) % 2 === 1) return count;
  }
  return 0;
}

function none(): Change {
  return { addLearners: [], promote: [], demote: [], remove: [] };
}

function isEmpty(change: Change): boolean {
  return Object.values(change).every((peers) => peers.length === 0);
}

function compact(change: Change): ConfigurationChange {
  return Object.fromEntries(Object.entries(change).filter(([, peers]) => peers.length > 0));
}
