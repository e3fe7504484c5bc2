import type { Clock, PeerId } from '../base/index.ts';

/** How long after the last try it is still told of. Unit: ms. */
const TOLD_MS = 60_000;
const CONFLICTS_LIMIT = 64;

interface Seen {
  readonly atMs: number;
  readonly address: string;
}

/** Identities that run twice at once, as this node met them: its own, and those of others. */
export class IdentityConflicts {
  readonly #self: PeerId;
  readonly #clock: Clock;
  /** Members that refuse this process. */
  readonly #refusing = new Map<PeerId, number>();
  /** Identities of which this node refused a second process. */
  readonly #refused = new Map<PeerId, Seen>();

  constructor(self: PeerId, clock: Clock) {
    this.#self = self;
    this.#clock = clock;
  }

  refusedBy(peer: PeerId): void {
    this.#refusing.set(peer, this.#clock.monotonicMs());
  }

  refused(peer: PeerId, address: string): void {
    if (this.#refused.size >= CONFLICTS_LIMIT) this.#refused.clear();
    this.#refused.set(peer, { atMs: this.#clock.monotonicMs(), address });
  }

  linked(peer: PeerId): void {
    this.#refusing.delete(peer);
  }

  /** One sentence each. */
  problems(): readonly string[] {
    const sinceMs = this.#clock.monotonicMs() - TOLD_MS;
    const refusing = [...this.#refusing].filter(([, atMs]) => atMs >= sinceMs).map(([peer]) => peer);
    const own =
      refusing.length === 0
        ? []
        : [
            `the identity ${this.#self} already runs elsewhere: ${refusing.join(', ')} ${refusing.length === 1 ? 'is' : 'are'} linked to another living process that has it, and ${refusing.length === 1 ? 'refuses' : 'refuse'} this one. ` +
              'Stop one of the two. If this data directory is a copy, move it away and join with a ticket: it then gets an identity of its own',
          ];
    const others = [...this.#refused]
      .filter(([, { atMs }]) => atMs >= sinceMs)
      .map(
        ([peer, { address }]) =>
          `the identity ${peer} runs twice: the second process, at ${address}, is refused while the first is alive`,
      );
    return [...own, ...others];
  }
}
