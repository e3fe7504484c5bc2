import { AspenError, type Clock, type PeerId, sleep } from '../base/index.ts';
import type { LeaderClient } from './client.ts';
import type { GroupRecovery, RecoverOptions } from './group-recovery.ts';
import type { GroupView } from './group-view.ts';
import { nextSuccessor } from './hand-over-rules.ts';
import type { LeaderFinder } from './leader-finder.ts';
import type { RecoveryPlan } from './recovery-rules.ts';
import type { Replica } from './replica/index.ts';

export interface GroupMovesComponents {
  readonly self: PeerId;
  readonly clock: Clock;
  readonly replica: Replica;
  /** To whom something can be said now. */
  readonly linked: () => readonly PeerId[];
  readonly client: LeaderClient;
  readonly finder: LeaderFinder;
  readonly recovery: GroupRecovery;
  readonly view: GroupView;
}

const WAIT_STEP_MS = 50;
const RECOVERED_TIMEOUT_MS = 15_000;
/** Of one try. */
const TRANSFER_TIMEOUT_MS = 2_500;
const TRANSFER_TRIES = 3;

/** Moves of the leadership and of this node's part that take a while: begun here, then watched until they are seen to have come about. */
export class GroupMoves {
  readonly #components: GroupMovesComponents;

  constructor(components: GroupMovesComponents) {
    this.#components = components;
  }

  /** Hands the leadership to `to`, or to the voter best fit for it. @returns whether this node no longer leads. */
  async handOver({ to, timeoutMs = 2_000 }: { to?: PeerId; timeoutMs?: number } = {}): Promise<boolean> {
    const { self, replica, clock, linked } = this.#components;
    const untilMs = clock.monotonicMs() + timeoutMs;
    let successor: PeerId | undefined;
    while (replica.leading !== undefined) {
      const present = new Set(linked());
      const isLinked = (peer: PeerId) => present.has(peer);
      const next = nextSuccessor({ state: replica.raftState, self, to, chosen: successor, isLinked });
      if (next === undefined || clock.monotonicMs() >= untilMs) return false;
      if (next !== successor && !replica.transferLeadership(next)) return false;
      successor = next;
      await sleep(clock, WAIT_STEP_MS);
    }
    return true;
  }

  /**
   * Asks the leader, whoever it is, to hand over. That can fall through where the successor is lost or slow: it is asked for again, until the time
   * is up.
   * @throws AspenError CONFLICT when `to` has no vote or nobody else has one, UNAVAILABLE when it was not taken over in time.
   */
  async transfer({ to }: { to?: PeerId } = {}): Promise<{ from: PeerId; leader: PeerId }> {
    const { client, finder, view } = this.#components;
    const ask = () => client.askLeader<{ from: PeerId }>('group/transfer', { to: to ?? null });
    const { from } = await ask();
    const isOver = () => {
      const { leader } = view.status();
      return leader !== null && (to === undefined ? leader !== from : leader === to);
    };
    for (let tries = 0; tries < TRANSFER_TRIES; tries += 1) {
      if (await this.#until(isOver, TRANSFER_TIMEOUT_MS, () => finder.refresh()))
        return { from, leader: view.status().leader as PeerId };
      if (to !== undefined) await ask();
    }
    throw new AspenError(
      'UNAVAILABLE',
      `${to ?? 'no other voter'} did not take over the leadership in time`,
      {
        outcome: 'unknown',
      },
    );
  }

  /**
   * Begins a new epoch on a survivor, and waits until it leads.
   * @throws as `planRecovery`; UNAVAILABLE when nobody leads in time.
   */
  async recover(options: RecoverOptions = {}): Promise<RecoveryPlan> {
    const { recovery, finder, view } = this.#components;
    const plan = await recovery.recover(options);
    if (options.isDryRun === true) return plan;
    const isLed = () => view.status().leader === plan.on;
    if (await this.#until(isLed, RECOVERED_TIMEOUT_MS, () => finder.refresh())) return plan;
    throw new AspenError(
      'UNAVAILABLE',
      `${plan.on} was told to go on, and does not lead yet: see group status`,
      {
        outcome: 'unknown',
      },
    );
  }

  /**
   * Hands over, gives back this node's membership, and waits until it has no part in the group.
   * @throws AspenError DEADLINE_EXCEEDED when it still has one after `timeoutMs`.
   */
  async leave({ timeoutMs = 30_000 }: { timeoutMs?: number } = {}): Promise<void> {
    const { self, client } = this.#components;
    await this.handOver();
    await client.askLeader('members/leave', { peerId: self }, { timeoutMs });
    const isOut = await this.#until(
      () => !this.#isInGroup(),
      timeoutMs,
      () => this.#askOthers(),
    );
    if (isOut) return;
    throw new AspenError(
      'DEADLINE_EXCEEDED',
      `this node still has a part in the group after ${timeoutMs} ms`,
    );
  }

  /** A node that was taken out may never hear of it: then the others' word counts. */
  #isInGroup(): boolean {
    const { self, replica, finder } = this.#components;
    const { role, leader } = replica.status();
    if (role === 'spare') return false;
    if (leader !== null) return true;
    const hint = finder.hint;
    return hint === undefined || [...hint.voters, ...hint.standbys].includes(self);
  }

  async #askOthers(): Promise<void> {
    const { replica, finder } = this.#components;
    const { role, leader } = replica.status();
    if (role !== 'spare' && leader === null) await finder.ask();
  }

  /** @param ask is under way meanwhile, and waited for by nobody; what breaks in it ends the wait. */
  async #until(isTrue: () => boolean, timeoutMs: number, ask: () => Promise<void>): Promise<boolean> {
    const { clock } = this.#components;
    const broken: unknown[] = [];
    for (let spentMs = 0; ; spentMs += WAIT_STEP_MS) {
      ask().catch((error: unknown) => broken.push(error));
      if (isTrue()) return true;
      if (spentMs >= timeoutMs) return false;
      await sleep(clock, WAIT_STEP_MS);
      if (broken.length > 0) throw broken[0];
    }
  }
}
