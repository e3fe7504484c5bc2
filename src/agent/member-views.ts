import type { NodeView } from '../affinity/index.ts';
import type { PeerId } from '../base/index.ts';
import type { Registry } from '../crdt/index.ts';
import type { Role } from '../mesh/index.ts';
import { placementLabels } from './label-book.ts';

/** @returns every member as it told everybody about itself, for where the leader has no session of it: nothing can be given to these. */
export function memberViews(
  members: readonly { readonly peerId: PeerId; readonly role: Role }[],
  registry: Pick<Registry, 'node'>,
  nowMs: number,
): NodeView[] {
  return members.map(({ peerId, role }) => {
    const entry = registry.node(peerId);
    const profile = entry?.profile;
    const slots = profile?.slots ?? 0;
    return {
      peerId,
      role,
      labels: placementLabels(profile?.labels ?? {}, profile?.machine ?? {}),
      types: profile?.types ?? [],
      totalSlots: slots,
      freeSlots: slots,
      isSuspect: true,
      isAbsent: true,
      silentForMs: entry?.heardAtMs === undefined ? undefined : nowMs - entry.heardAtMs,
      isDraining: profile?.isDraining,
      coordinate: entry?.coordinate,
      blobs: profile?.blobs && new Set(profile.blobs),
    };
  });
}
