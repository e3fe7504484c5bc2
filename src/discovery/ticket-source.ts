import { Listeners, type PeerId } from '../base/index.ts';
import type { Candidate, DiscoverySource } from './source.ts';

/** Whom to try, and where. */
export interface Contact {
  readonly peerId: PeerId;
  readonly addresses: readonly string[];
}

/** The members that a ticket named: whom a node tries first after it joined, before it knows anybody better. */
export class TicketSource implements DiscoverySource {
  readonly name = 'ticket';
  readonly #contacts: readonly Contact[];
  readonly #candidates = new Listeners<Candidate>();

  constructor(contacts: readonly Contact[]) {
    this.#contacts = contacts;
  }

  async start(): Promise<void> {
    for (const { peerId, addresses } of this.#contacts) {
      this.#candidates.emit({ peerId, addresses, source: 'ticket' });
    }
  }

  async stop(): Promise<void> {
    // holds nothing
  }

  onCandidate(callback: (candidate: Candidate) => void): Disposable {
    return this.#candidates.add(callback);
  }

  problem(): string | undefined {
    return undefined;
  }
}
