import { listMembers, type MeshRecord, type QueryContext } from '../../../src/lease/machine/index.ts';
import { StorageFault, textKey } from '../../../src/storage/index.ts';
import type { SimNode } from './sim-node.ts';

/** Who belongs to the mesh as the leader has it, revoked members included; undefined where nobody leads. */
export function agreedMembers(members: readonly SimNode[]): ReadonlySet<string> | undefined {
  return askedOfLeader(
    members,
    (module) => new Set(listMembers(module('members')).map(({ peerId }) => peerId)),
  );
}

/**
 * Whoever keeps the root key keeps the present one, and whoever leads keeps it. Asked of the leader, with the keys of everybody's disk.
 * @returns what is broken.
 */
export function brokenCustody(members: readonly SimNode[]): readonly string[] {
  const broken = askedOfLeader(members, (module, leader) => {
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
  return broken ?? [];
}

/** @returns undefined also where what is read was damaged on the leader's disk: it has not come upon that yet, and says nothing of it. */
function askedOfLeader<T>(
  members: readonly SimNode[],
  read: (module: (name: string) => QueryContext, leader: SimNode) => T,
): T | undefined {
  const leader = members.find(
    (member) => member.isReady && member.daemon.node.group.leadership !== undefined,
  );
  try {
    return leader?.daemon.node.group.leadership?.read(({ module }) => read(module, leader));
  } catch (error) {
    if (error instanceof StorageFault && error.kind === 'damaged' && leader?.machine.disk.isDamaged)
      return undefined;
    throw error;
  }
}
