import { AspenError, type Logger, type PeerId } from '../base/index.ts';
import type { CandidateBook, KnownPeers } from '../discovery/index.ts';
import type { Admission } from './admission.ts';
import { parseCircuit } from './circuit-address.ts';
import type { Gate, Transport } from './transport.ts';

export interface LinkMakerComponents {
  readonly transport: Transport;
  readonly gate: Gate;
  readonly admission: Pick<Admission, 'introduce'>;
  readonly knownPeers: KnownPeers;
  readonly book: CandidateBook;
  readonly log: Logger;
}

/** Makes one link, with what has to come before it. */
export class LinkMaker {
  readonly #components: LinkMakerComponents;

  constructor(components: LinkMakerComponents) {
    this.#components = components;
  }

  /**
   * Makes each known to the other where needed, then dials.
   * @throws AspenError UNAVAILABLE when it cannot be reached, DENIED when a gate refuses.
   */
  async link(peerId: PeerId, signal: AbortSignal | undefined): Promise<void> {
    const { transport, gate, admission, book } = this.#components;
    const addresses = book.addressesOf(peerId);
    const withSignal = signal === undefined ? {} : { signal };
    const isStranger = gate.standingOf(peerId) === 'stranger';
    if (isStranger) await admission.introduce({ peerId, addresses }, withSignal);
    try {
      await transport.dial(peerId, addresses, signal);
    } catch (error) {
      if (isStranger || !(error instanceof AspenError) || error.code !== 'DENIED') throw error;
      await admission.introduce({ peerId, addresses }, withSignal); // the peer may not know us yet
      await transport.dial(peerId, addresses, signal);
    }
    this.#rememberAddress(peerId, addresses);
  }

  /** L4. @returns whether a relay of a peer is linked now that was not. */
  async linkRelayOf(peerId: PeerId, signal: AbortSignal | undefined): Promise<boolean> {
    const { transport, book, log } = this.#components;
    for (const address of book.addressesOf(peerId)) {
      const circuit = parseCircuit(address);
      if (circuit === undefined || circuit.relay === transport.self) continue;
      if (transport.isLinked(circuit.relay)) continue;
      book.add({ peerId: circuit.relay, addresses: [circuit.relayAddress] });
      try {
        await this.link(circuit.relay, signal);
        return true;
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        log.debug({ err, peerId, relay: circuit.relay }, 'a relay was not linked, the next one is tried');
      }
    }
    return false;
  }

  #rememberAddress(peerId: PeerId, dialed: readonly string[]): void {
    const { transport, knownPeers } = this.#components;
    const link = transport.links().find((candidate) => candidate.peerId === peerId);
    if (link !== undefined && dialed.includes(link.address)) knownPeers.remember(peerId, [link.address]);
  }
}
