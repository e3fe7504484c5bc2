import { type AspenError, Listeners, type LogIndex, SlotMap, type Term } from '../../base/index.ts';
import type { Proposed as ProposedCommand } from '../group.ts';
import type { LeaderTerm } from '../leader-term.ts';
import { type Batch, type CommandOutcome, encodeBatch } from '../machine/index.ts';
import { type Gathered, ProposalQueue } from '../proposal-queue.ts';
import type { Entry } from '../raft/index.ts';
import { SecondDisk } from '../second-disk.ts';
import { leadershipLost, notLeader, type Submission } from '../submission.ts';
import type { ReplicaCore } from './core.ts';
import type { Leaderships } from './leaderships.ts';

/** One proposed entry and who waits for what becomes of it. */
export interface Waiters {
  readonly term: Term;
  /** What the entry holds, as it was proposed here. */
  readonly batch: Batch;
  readonly submissions: readonly Submission[];
}

export interface ProposalSteps {
  /** Whether another batch may be proposed, or more is to be gathered behind the sync under way. */
  readonly mayPropose: () => boolean;
  /** Does the duties of what was just proposed. @returns whether this replica still runs. */
  readonly performNow: () => boolean;
}

/**
 * The way of a command from its caller into the log, and of its outcome back.
 *
 * - P2 A command is acknowledged when its entry is committed, durable here, and applied here. A single voter waits a moment longer for a
 *   standby's disk ({@link SecondDisk}).
 */
export class Proposals {
  readonly #core: ReplicaCore;
  readonly #leaderships: Leaderships;
  readonly #steps: ProposalSteps;
  readonly #queue: ProposalQueue;
  readonly #secondDisk: SecondDisk;
  readonly #waiters = new SlotMap<LogIndex, Waiters>();
  readonly #listeners = new Listeners<ProposedCommand>();
  /** Commands that were let in, and that were not, since the start. */
  readonly counts = { admitted: 0, refused: 0 };

  constructor(core: ReplicaCore, leaderships: Leaderships, steps: ProposalSteps) {
    const { self, clock } = core.components;
    this.#core = core;
    this.#leaderships = leaderships;
    this.#steps = steps;
    this.#queue = new ProposalQueue(core.options);
    this.#secondDisk = new SecondDisk(self, clock, () => core.state.raft.state);
  }

  onProposed(callback: (proposed: ProposedCommand) => void): Disposable {
    return this.#listeners.add(callback);
  }

  submit(submission: Submission): void {
    const refusal = this.#leaderships.refusal();
    if (refusal !== undefined) {
      this.counts.refused += 1;
      submission.onFailure(refusal);
      return;
    }
    const { machine } = this.#core.state;
    const isAdmitted = this.#queue.add(submission, machine);
    if (isAdmitted) this.counts.admitted += 1;
    else this.counts.refused += 1;
    if (isAdmitted && this.#listeners.size > 0) {
      const { module, kind } = submission.command;
      this.#listeners.emit({ module, kind, body: machine.admittedBody(submission.command) });
    }
    this.#core.schedule();
  }

  proposeWaiting(): void {
    for (;;) {
      const leading = this.#leaderships.current;
      if (leading === undefined || this.#queue.isEmpty || !this.#steps.mayPropose()) return;
      if (!this.#proposeBatch(leading)) return;
    }
  }

  /** @returns who waits for this entry here; undefined when it was proposed elsewhere, or nobody waits. */
  take(entry: Entry): Waiters | undefined {
    const waiters = this.#waiters.get(entry.index);
    if (waiters === undefined) return undefined;
    this.#waiters.delete(entry.index);
    if (waiters.term === entry.term) return waiters;
    // Another leader's entry is committed in this place: ours never will be.
    for (const { onFailure } of waiters.submissions) onFailure(notLeader(this.#core.otherLeader));
    return undefined;
  }

  /** P2 */
  acknowledge(index: LogIndex, { submissions }: Waiters, outcomes: readonly CommandOutcome[]): void {
    this.#secondDisk.hold(index, () => {
      submissions.forEach((submission, at) => {
        submission.onOutcome(outcomes[at] as CommandOutcome);
      });
    });
  }

  /** A standby may have caught up with what is held back for it. */
  advance(): void {
    this.#secondDisk.advance();
  }

  /** The leadership is over. What is in the log may still be committed; what waits to be proposed is not. */
  abandon(): void {
    this.#secondDisk[Symbol.dispose]();
    const waiting = this.#waiters.values();
    this.#waiters.clear();
    for (const { submissions } of waiting) {
      for (const { onFailure } of submissions) onFailure(leadershipLost());
    }
    this.failWaiting(notLeader(this.#core.otherLeader));
  }

  failWaiting(error: AspenError): void {
    this.#queue.failAll(error);
  }

  /** @returns whether more may be proposed now. */
  #proposeBatch(leading: LeaderTerm): boolean {
    const gathered = this.#queue.take();
    const { raft } = this.#core.state;
    const batch = this.#batchOf(gathered, leading);
    const proposed = raft.propose([encodeBatch(batch)]);
    const { submissions } = gathered;
    if ('refused' in proposed) {
      if (proposed.refused === 'not-leader') {
        for (const { onFailure } of submissions) onFailure(notLeader(this.#core.otherLeader));
      } else this.#queue.putBack(gathered);
      return false;
    }
    this.#waiters.set(proposed.firstIndex, { term: proposed.term, batch, submissions });
    return raft.hasReady() && this.#steps.performNow();
  }

  #batchOf({ version, submissions }: Gathered, leading: LeaderTerm): Batch {
    return {
      epoch: this.#core.epochNumber,
      version,
      groupMs: leading.groupMs(),
      wallMs: this.#core.components.clock.wallMs(),
      commands: submissions.map(({ command }) => command),
    };
  }
}
