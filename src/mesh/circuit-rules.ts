import type { PeerId } from '../base/index.ts';
import type { Standing } from './transport.ts';

/** What a relay knows when a peer asks it for a circuit. */
export interface CircuitRequest {
  readonly self: PeerId;
  readonly isOffered: boolean;
  readonly source: {
    readonly peerId: PeerId;
    readonly standing: Standing;
    readonly isLinkedDirectly: boolean;
  };
  readonly target: {
    readonly peerId: PeerId;
    readonly standing: Standing;
    readonly isLinkedDirectly: boolean;
  };
  /** Circuits in which a peer has a part here, at either end. */
  readonly countOf: (peerId: PeerId) => number;
  readonly totalCount: number;
}

/** Why there is no circuit. */
export type CircuitRefusal = 'not-offered' | 'not-admitted' | 'not-linked' | 'peer-full' | 'relay-full';

export const CIRCUITS_PER_PEER_LIMIT = 64;
export const CIRCUITS_LIMIT = 1_024;

/**
 * Whether a relay carries a circuit.
 *
 * - Y1 Only between two members, both of whom it is linked to itself, directly: no stranger, no revoked peer, no circuit over a circuit.
 * - Y2 One peer has a part in at most {@link CIRCUITS_PER_PEER_LIMIT}, all together in at most {@link CIRCUITS_LIMIT}.
 * - Y3 Only while the relay offers it.
 */
export function refusalOf(request: CircuitRequest): CircuitRefusal | undefined {
  const { self, isOffered, source, target, countOf, totalCount } = request;
  const ends = [source, target];
  if (ends.some(({ standing }) => standing !== 'member')) return 'not-admitted';
  if (!isOffered) return 'not-offered';
  if (source.peerId === target.peerId || target.peerId === self) return 'not-linked';
  if (ends.some(({ isLinkedDirectly }) => !isLinkedDirectly)) return 'not-linked';
  if (totalCount >= CIRCUITS_LIMIT) return 'relay-full';
  if (ends.some(({ peerId }) => countOf(peerId) >= CIRCUITS_PER_PEER_LIMIT)) return 'peer-full';
  return undefined;
}
