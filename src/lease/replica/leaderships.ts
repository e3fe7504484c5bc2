import { AspenError, Listeners, type Term } from '../../base/index.ts';
import { LeaderTerm, type LeadingReplica } from '../leader-term.ts';
import type { Entry } from '../raft/index.ts';
import { notLeader } from '../submission.ts';
import type { ReplicaCore } from './core.ts';

/** How soon it is worth asking again while the disk is full, and how often the replica looks for room. */
export const FULL_DISK_RETRY_MS = 5_000;

/**
 * The leaderships of this node, one after the other.
 *
 * - P4 A leadership begins when every entry of earlier terms is applied, and never outlives what raft says.
 */
export class Leaderships {
  readonly #core: ReplicaCore;
  readonly #replica: LeadingReplica;
  readonly #listeners = new Listeners<LeaderTerm>();
  /** Set between the election and the end of this node's leadership. */
  #electedTerm: Term | undefined;
  #current: LeaderTerm | undefined;

  constructor(core: ReplicaCore, replica: LeadingReplica) {
    this.#core = core;
    this.#replica = replica;
  }

  /** The leadership of this node, while it lasts. */
  get current(): LeaderTerm | undefined {
    return this.#current;
  }

  onLeading(callback: (leading: LeaderTerm) => void): Disposable {
    return this.#listeners.add(callback);
  }

  elected(term: Term): void {
    this.#electedTerm = term;
  }

  /** P4: the empty entry of its own term is the last before a leader's word counts. */
  applied({ kind, term }: Entry): void {
    if (kind === 'empty' && term === this.#electedTerm) this.#begin(term);
  }

  end(): void {
    this.#electedTerm = undefined;
    const leading = this.#current;
    if (leading === undefined) return;
    this.#current = undefined;
    leading.end();
    this.#core.log.info({ term: leading.term }, 'no longer leads the group');
  }

  /** Why nothing is taken from a caller now; undefined while this node leads. */
  refusal(): AspenError | undefined {
    const { mode } = this.#core;
    if (mode === 'running' && this.#current !== undefined) return undefined;
    if (mode !== 'full') return notLeader(this.#core.otherLeader);
    return new AspenError('RESOURCE_EXHAUSTED', 'the disk of the leader is full', {
      details: { limit: 'disk', retryAfterMs: FULL_DISK_RETRY_MS },
    });
  }

  #begin(term: Term): void {
    const { state, components, log } = this.#core;
    const { groupMs } = state.machine;
    this.#current = new LeaderTerm({ replica: this.#replica, clock: components.clock }, { term, groupMs });
    log.info({ term }, 'leads the group');
    this.#listeners.emit(this.#current);
  }
}
