import type { PeerId } from '../base/index.ts';
import { isPeerId } from './identity.ts';

/** A way to a peer over a member that both are linked to. */
export interface Circuit {
  readonly relay: PeerId;
  /** Where the relay itself is reached, a multiaddr. */
  readonly relayAddress: string;
}

const MARK = '/p2p-circuit';

/** @returns e.g. `/ip4/203.0.113.1/tcp/4100/p2p/12D3.../p2p-circuit`; whose circuit it is says the peer it is told of. */
export function circuitAddress({ relay, relayAddress }: Circuit): string {
  return `${relayAddress}/p2p/${relay}${MARK}`;
}

/** @returns the circuit that an address means; undefined for a direct address, and for a malformed or nested circuit. */
export function parseCircuit(address: string): Circuit | undefined {
  if (!address.endsWith(MARK)) return undefined;
  const way = address.slice(0, -MARK.length);
  const at = way.indexOf('/p2p/');
  const relay = way.slice(at + '/p2p/'.length);
  if (at <= 0 || !isPeerId(relay)) return undefined;
  return { relay, relayAddress: way.slice(0, at) };
}

/** @returns whether an address leads over another peer, well formed or not. */
export function isCircuit(address: string): boolean {
  return address.includes(MARK);
}

/** @returns the address without the peer id of whom it leads to; the relay's stays in a circuit. */
export function withoutTarget(address: string): string {
  return address.replace(/\/p2p\/[^/]+$/, '');
}
