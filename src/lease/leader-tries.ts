import { AspenError, type PeerId, type Term } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { LeaderFinder } from './leader-finder.ts';

interface Tries {
  readonly leader: PeerId;
  /** What was known when the first of them began. */
  readonly term: Term;
  readonly replaced: AbortController;
  count: number;
}

/**
 * Questions on their way to a leader.
 *
 * - G4 They are given up, outcome unknown, when a leader of a later term is known: one that was cut off or stopped answers none of them, and
 *   nobody should wait for the end of a timeout to ask the next.
 */
export class LeaderTries {
  readonly #messenger: Messenger;
  readonly #finder: Pick<LeaderFinder, 'tell'>;
  /** One for each leader that has not answered all. */
  readonly #open = new Set<Tries>();

  constructor(components: { readonly messenger: Messenger; readonly finder: Pick<LeaderFinder, 'tell'> }) {
    this.#messenger = components.messenger;
    this.#finder = components.finder;
  }

  get isIdle(): boolean {
    return this.#open.size === 0;
  }

  /** @throws AspenError as the messenger's; UNAVAILABLE, outcome unknown, when the leader was replaced meanwhile. */
  async request(
    leader: PeerId,
    method: string,
    body: unknown,
    { timeoutMs, signal }: { readonly timeoutMs: number; readonly signal?: AbortSignal | undefined },
  ): Promise<unknown> {
    const tries = this.#to(leader);
    const own = tries.replaced.signal;
    tries.count += 1;
    try {
      return await this.#messenger.request(leader, method, body, {
        timeoutMs,
        signal: signal === undefined ? own : AbortSignal.any([signal, own]),
      });
    } finally {
      tries.count -= 1;
      if (tries.count === 0) this.#open.delete(tries);
    }
  }

  /** G4. To be called now and then. */
  giveUpReplaced(): void {
    if (this.#open.size === 0) return;
    const { leader, term } = this.#finder.tell();
    if (leader === null) return;
    for (const tries of [...this.#open]) {
      if (tries.leader === leader || tries.term >= term) continue;
      this.#open.delete(tries);
      tries.replaced.abort(replacedBy(leader, tries.leader));
    }
  }

  #to(leader: PeerId): Tries {
    const { term } = this.#finder.tell();
    for (const tries of this.#open) if (tries.leader === leader && tries.term === term) return tries;
    const tries: Tries = { leader, term, replaced: new AbortController(), count: 0 };
    this.#open.add(tries);
    return tries;
  }
}

function replacedBy(leader: PeerId, former: PeerId): AspenError {
  return new AspenError('UNAVAILABLE', `${former} has not answered, and ${leader} leads now`, {
    outcome: 'unknown',
  });
}
