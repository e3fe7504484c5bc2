import type { Stream } from '@libp2p/interface';
import { AspenError, type Clock, type PeerId } from '../base/index.ts';
import { Allowance } from './table-rules.ts';

export interface DhtCallsComponents {
  readonly clock: Clock;
  readonly isLinked: (peerId: PeerId) => boolean;
  readonly isMember: (peerId: PeerId) => boolean;
  /** Where a peer may be, as anybody says. */
  readonly addressesOf: (peerId: PeerId) => readonly string[];
  /** Each shows the other its certificate; rejects when one of them has none. */
  readonly introduce: (peerId: PeerId, addresses: readonly string[], signal: AbortSignal) => Promise<void>;
  readonly open: (peerId: PeerId, addresses: readonly string[], signal: AbortSignal) => Promise<Stream>;
  /** Told of whoever did not answer. */
  readonly onSilent: (peerId: PeerId) => Promise<void>;
}

/** Members that are not linked are dialed for the table at most so often, all together. */
const DIALS = { limit: 30, windowMs: 60_000, namesLimit: 1 };
/** They are shown a certificate again after this. Unit: ms. */
const INTRODUCED = { limit: 1, windowMs: 600_000 };

/**
 * How the table reaches members: over the link there is, or a short connection.
 *
 * - H5 What others say makes this node dial a bounded number of places, and look for a bounded number of members.
 */
export class DhtCalls {
  readonly #components: DhtCallsComponents;
  readonly #dials = new Allowance(DIALS);
  readonly #introduced = new Allowance(INTRODUCED);

  constructor(components: DhtCallsComponents) {
    this.#components = components;
  }

  async open(peerId: PeerId, signal: AbortSignal): Promise<Stream> {
    const { open, isLinked, onSilent } = this.#components;
    try {
      if (isLinked(peerId)) return await open(peerId, [], signal);
      const addresses = await this.#meet(peerId, signal);
      return await open(peerId, addresses, signal);
    } catch (error) {
      const isRefusedHere = error instanceof AspenError && error.code === 'RESOURCE_EXHAUSTED';
      if (!signal.aborted && !isRefusedHere) await onSilent(peerId);
      throw error;
    }
  }

  /** A member that is not linked: a short connection is enough to ask it. @returns where it may be. */
  async #meet(peerId: PeerId, signal: AbortSignal): Promise<readonly string[]> {
    const { clock, addressesOf, introduce, isMember } = this.#components;
    const addresses = addressesOf(peerId);
    const nowMs = clock.monotonicMs();
    if (addresses.length === 0) throw new AspenError('UNAVAILABLE', `no address of ${peerId} is known`);
    if (!this.#dials.take('all', nowMs))
      throw new AspenError('RESOURCE_EXHAUSTED', `${DIALS.limit} dials a minute are enough for the table`, {
        details: { limit: 'DIALS' },
      });
    if (!isMember(peerId) || this.#introduced.take(peerId, nowMs)) await introduce(peerId, addresses, signal);
    return addresses;
  }
}
