import type { NodeProfile } from '../crdt/index.ts';
import type { PeerTraits } from '../lease/index.ts';
import { isPublicAddress } from '../mesh/index.ts';

/** What a node's own word says about how well it would do as a voter. @param wallMs of whoever asks. */
export function voterTraitsOf(profile: NodeProfile | undefined, wallMs: number): PeerTraits {
  if (profile === undefined) return { zone: null };
  const { labels, power, addresses, startedAtMs, startCount } = profile;
  return {
    zone: labels['zone'] ?? null,
    isOnBattery: power === 'battery',
    isPublic: addresses.some(isPublicAddress),
    ...(startedAtMs !== undefined && { upForMs: Math.max(0, wallMs - startedAtMs) }),
    ...(startCount !== undefined && { startCount }),
  };
}
