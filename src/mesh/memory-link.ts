import type { PeerId } from '../base/index.ts';
import type { PeerLink } from './transport.ts';

const RTT_WEIGHT = 0.2;

/** One end of a link between two {@link MemoryTransport}s. */
export class MemoryLink implements PeerLink {
  readonly peerId: PeerId;
  readonly address: string;
  readonly path = 'direct';
  readonly since: number;
  /** The same at both ends; what arrives for an earlier link of the pair is dropped. */
  readonly linkId: number;
  rttMs: number | undefined;
  lastHeardMs: number;
  /** Sent and not yet arrived, for the bound T3. */
  bytesInFlight = 0;

  constructor(facts: { peerId: PeerId; address: string; linkId: number; wallMs: number; nowMs: number }) {
    this.peerId = facts.peerId;
    this.address = facts.address;
    this.linkId = facts.linkId;
    this.since = facts.wallMs;
    this.lastHeardMs = facts.nowMs;
  }

  measured(rttMs: number): void {
    this.rttMs = this.rttMs === undefined ? rttMs : this.rttMs + (rttMs - this.rttMs) * RTT_WEIGHT;
  }
}
