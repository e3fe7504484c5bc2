import type { Leadership } from '../../../src/lease/index.ts';
import { listMembers, type MeshRecord } from '../../../src/lease/machine/index.ts';
import { textKey } from '../../../src/storage/index.ts';
import type { SimNode } from './sim-node.ts';

/** Who belongs to the mesh as the leader has it, revoked members included; undefined where nobody leads. */
export function agreedMembers(members: readonly SimNode[]): ReadonlySet<string> | undefined {
  return leadershipAmong(members)?.leadership.read(
    ({ module }) => new Set(listMembers(module('members')).map(({ peerId }) => peerId)),
  );
}

/**
 * Whoever keeps the root key keeps the present one, and whoever leads keeps it. Asked of the leader, with the keys of everybody's disk.
 * @returns what is broken.
 */
export function brokenCustody(members: readonly SimNode[]): readonly string[] {
  const leading = leadershipAmong(members);
  if (leading === undefined) return [];
  const { leader, leadership } = leading;
  return leadership.read(({ module }) => {
    const context = module('members');
    const present = context.table<MeshRecord>('mesh').get('mesh')?.rootPublicKey ?? new Uint8Array(0);
    return members.flatMap((keeper) => {
      const box = context.table<Uint8Array>('custody').get(textKey(keeper.peerId));
      if (box === undefined) return keeper === leader ? [`${keeper.name} leads and has no root key`] : [];
      const { crypto, directory } = keeper.daemon.platform;
      const seed = crypto.open(directory.seed, box);
      const isPresent = seed !== undefined && crypto.equal(crypto.signingPublicKey(seed), present);
      return isPresent ? [] : [`${keeper.name} was sealed another root key than the present one`];
    });
  });
}

function leadershipAmong(
  members: readonly SimNode[],
): { readonly leader: SimNode; readonly leadership: Leadership } | undefined {
  for (const leader of members) {
    const leadership = leader.isReady ? leader.daemon.node.group.leadership : undefined;
    if (leadership !== undefined) return { leader, leadership };
  }
  return undefined;
}
