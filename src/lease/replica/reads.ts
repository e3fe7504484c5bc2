import { AspenError } from '../../base/index.ts';
import { Freshness, isOfLeader } from '../freshness.ts';
import { PendingReads } from '../pending-reads.ts';
import type { Hurry, Message, Ready } from '../raft/index.ts';
import { notLeader } from '../submission.ts';
import { type ReplicaCore, TICK_MS } from './core.ts';
import type { Leaderships } from './leaderships.ts';

/**
 * When what is applied here may be read as what is true, or how old it may be.
 *
 * - P6 A read by lease shows everything that was committed when it was asked for, as long as clocks keep within their bound.
 */
export class Reads {
  readonly #core: ReplicaCore;
  readonly #leaderships: Leaderships;
  readonly #pending = new PendingReads();
  #freshness: Freshness;

  constructor(core: ReplicaCore, leaderships: Leaderships) {
    this.#core = core;
    this.#leaderships = leaderships;
    this.#freshness = this.#newFreshness();
  }

  /** Resolves when what was committed at the call is applied here and a quorum has confirmed that this node leads. */
  confirm(hurry: Hurry): Promise<void> {
    return new Promise((resolve, reject) => {
      const refusal = this.#leaderships.refusal();
      if (refusal !== undefined) throw refusal;
      this.#pending.add({ resolve, reject }, hurry);
      this.#core.schedule();
    });
  }

  /**
   * P6 Resolves when what is committed now is applied here, without asking anybody: the lease of this leader says that nobody else leads.
   * It holds as long as clocks of members go apart by less than `CLOCK_DRIFT_BOUND`.
   * @throws AspenError CONFLICT when the lease is over or not yet begun, NOT_LEADER.
   */
  confirmByLease(): Promise<void> {
    return new Promise((resolve, reject) => {
      const refusal = this.#leaderships.refusal();
      if (refusal !== undefined) throw refusal;
      const { raft, machine } = this.#core.state;
      const { leaseUntilMs, commitIndex } = raft.state;
      if (leaseUntilMs === undefined) throw noLease();
      if (machine.appliedIndex >= commitIndex) resolve();
      else this.#pending.await(commitIndex, { resolve, reject });
    });
  }

  /**
   * How long ago the applied state was last known to be all there was; null: not since the start. A leader with a lease knows it now.
   * Unit: ms.
   */
  ageMs(): number | null {
    const { raft, machine } = this.#core.state;
    const { appliedIndex } = machine;
    const { leaseUntilMs, commitIndex } = raft.state;
    if (leaseUntilMs !== undefined && appliedIndex >= commitIndex) this.#freshness.confirmed();
    return this.#freshness.ageMs(appliedIndex);
  }

  /** What a leader says of its commits tells how old the state here is. */
  heard(messages: readonly Message[]): void {
    if (!messages.some(isOfLeader)) return;
    const { raft, machine } = this.#core.state;
    this.#freshness.heard(messages, { leader: raft.state.leader, appliedIndex: machine.appliedIndex });
  }

  /** Asks a quorum once for all who asked in this turn. */
  ask(): void {
    this.#pending.ask(
      (context, hurry) => this.#core.state.raft.requestRead(context, hurry),
      () => notLeader(this.#core.otherLeader),
    );
  }

  /** To be called when what the Ready commits is applied. */
  settle({ failedReads, reads }: Ready): void {
    this.#pending.fail(failedReads, () => notLeader(this.#core.otherLeader));
    this.#pending.confirm(reads);
    this.#pending.applied(this.#core.state.machine.appliedIndex);
  }

  failAll(refusal: () => AspenError): void {
    this.#pending.failAll(refusal);
  }

  reset(): void {
    this.#freshness = this.#newFreshness();
  }

  #newFreshness(): Freshness {
    return new Freshness(() => this.#core.waking.nowMs());
  }
}

function noLease(): AspenError {
  return new AspenError(
    'CONFLICT',
    'the leader has no lease now, since it was not confirmed for a moment or begins to lead: read linearizable, or try again',
    { details: { retryAfterMs: TICK_MS } },
  );
}
