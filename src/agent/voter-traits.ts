import type { NodeProfile } from '../crdt/index.ts';
import type { PeerTraits } from '../lease/index.ts';
import { isCircuit, isPublicAddress } from '../mesh/index.ts';

/** What a node's own word says about how well it would do as a voter. @param wallMs of whoever asks. */
export function voterTraitsOf(profile: NodeProfile | undefined, wallMs: number): PeerTraits {
  if (profile === undefined) return { zone: null };
  const { labels, power, addresses, startedAtMs, startCount } = profile;
  return {
    zone: labels['zone'] ?? null,
    isOnBattery: power === 'battery',
    // A circuit's address is that of the member that carries it: whoever hangs on one is lost with it.
    isPublic: addresses.some((address) => !isCircuit(address) && isPublicAddress(address)),
    ...(startedAtMs !== undefined && { upForMs: Math.max(0, wallMs - startedAtMs) }),
    ...(startCount !== undefined && { startCount }),
  };
}
