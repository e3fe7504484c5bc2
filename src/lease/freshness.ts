import type { LogIndex, PeerId } from '../base/index.ts';
import type { Append, Heartbeat, Message } from './raft/index.ts';

/** Only a leader sends these; they tell what is committed. */
export function isOfLeader(message: Message): message is Append | Heartbeat {
  return message.type === 'append' || message.type === 'heartbeat';
}

/**
 * How old the applied state of a follower may be: since when it has not held all that its leader, when it last spoke, called committed.
 * An append tells all that is committed; what was on its way and lost meanwhile is not known of.
 */
export class Freshness {
  readonly #nowMs: () => number;
  /** Newest moment at which all that had been told was applied. */
  #freshAtMs = Number.NEGATIVE_INFINITY;
  #heardAtMs = Number.NEGATIVE_INFINITY;
  #toldCommitted = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  heard(
    messages: readonly Message[],
    { leader, appliedIndex }: { readonly leader: PeerId | null; readonly appliedIndex: LogIndex },
  ): void {
    for (const message of messages) {
      if (message.from !== leader || !isOfLeader(message)) continue;
      this.#settle(appliedIndex);
      this.#heardAtMs = this.#nowMs();
      this.#toldCommitted = Math.max(this.#toldCommitted, message.commitIndex);
    }
  }

  /** For a leader that has a lease and has applied all that is committed: nobody can have committed more. */
  confirmed(): void {
    this.#freshAtMs = this.#nowMs();
  }

  /** @returns null when the state was not known to be up to date since this replica started. Unit: ms. */
  ageMs(appliedIndex: LogIndex): number | null {
    this.#settle(appliedIndex);
    return Number.isFinite(this.#freshAtMs) ? Math.max(0, Math.round(this.#nowMs() - this.#freshAtMs)) : null;
  }

  #settle(appliedIndex: LogIndex): void {
    if (appliedIndex >= this.#toldCommitted) this.#freshAtMs = Math.max(this.#freshAtMs, this.#heardAtMs);
  }
}
