import { Listeners } from '../../base/index.ts';
import { type CommandOutcome, type Fact, NotUnderstood } from '../machine/index.ts';
import type { Entry } from '../raft/index.ts';
import type { AppliedEvent, ReplicaCore } from './core.ts';
import type { Leaderships } from './leaderships.ts';
import type { Proposals } from './proposals.ts';

export interface ApplierParts {
  readonly proposals: Proposals;
  readonly leaderships: Leaderships;
  /** The machine does not understand what comes next. */
  readonly halt: (reason: string) => void;
}

/** Applies committed entries in their order, and tells everybody what came of them. */
export class Applier {
  readonly #core: ReplicaCore;
  readonly #parts: ApplierParts;
  readonly #facts = new Listeners<readonly Fact[]>();
  readonly #applied = new Listeners<AppliedEvent>();

  constructor(core: ReplicaCore, parts: ApplierParts) {
    this.#core = core;
    this.#parts = parts;
  }

  onFacts(callback: (facts: readonly Fact[]) => void): Disposable {
    return this.#facts.add(callback);
  }

  onApplied(callback: (event: AppliedEvent) => void): Disposable {
    return this.#applied.add(callback);
  }

  /** @returns false when this replica stopped before the last of them. */
  applyAll(entries: readonly Entry[]): boolean {
    for (const entry of entries) if (!this.#apply(entry)) return false;
    return true;
  }

  #apply(entry: Entry): boolean {
    const { proposals, leaderships, halt } = this.#parts;
    const { machine } = this.#core.state;
    const waiters = proposals.take(entry);
    let outcomes: readonly CommandOutcome[];
    let facts: readonly Fact[];
    try {
      ({ outcomes, facts } = machine.applyEntry(entry, waiters?.batch));
    } catch (error) {
      if (!(error instanceof NotUnderstood)) throw error;
      halt(error.message);
      return false;
    }
    if (waiters !== undefined) proposals.acknowledge(entry.index, waiters, outcomes);
    if (facts.length > 0) this.#facts.emit(facts);
    if (this.#applied.size > 0) {
      this.#applied.emit({ index: entry.index, term: entry.term, hash: machine.hash });
    }
    leaderships.applied(entry);
    return true;
  }
}
