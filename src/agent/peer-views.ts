import type { PeerId } from '../base/index.ts';
import type { PeerLink } from '../mesh/index.ts';
import type { MeshPeer } from '../rpc/index.ts';
import { type LinkMatrix, matrixOf } from './link-matrix.ts';
import type { MeshNode } from './mesh-node.ts';

/** The other members, and how this node is linked with each: Z5 a link whose other end does not answer is none. */
export async function peersOf(node: MeshNode): Promise<MeshPeer[]> {
  const { transport } = node.mesh;
  await transport.confirm?.();
  const found = new Map(transport.links().map((link) => [link.peerId, link]));
  return node.mesh.gate
    .members()
    .filter(({ peerId }) => peerId !== node.self)
    .map(({ peerId, role }) => {
      const known = node.registry.node(peerId);
      const quiet = found.get(peerId)?.isQuiet === true;
      const link = quiet ? undefined : found.get(peerId);
      return {
        peerId,
        name: known?.profile.name ?? null,
        role,
        ...linkFields(link),
        isDoubted: quiet,
        unheardMs: found.get(peerId)?.unheardMs ?? null,
        isAlive: known?.isAlive ?? link !== undefined,
        estimatedRttMs: link === undefined ? (node.registry.rttTo(peerId) ?? null) : null,
        why: link === undefined ? whyUnlinked(node, peerId, quiet) : whyRelayed(node, link),
      };
    });
}

function linkFields(link: PeerLink | undefined) {
  return {
    path: link?.path ?? null,
    carrier: link?.carrier ?? null,
    rttMs: link?.rttMs ?? null,
    address: link?.address ?? null,
    since: link?.since ?? null,
    bytesIn: link?.bytesIn ?? null,
    bytesOut: link?.bytesOut ?? null,
  };
}

function whyRelayed({ mesh }: MeshNode, { peerId, path, why }: PeerLink): string | null {
  if (path === 'direct') return null;
  return why ?? mesh.reach?.whyRelayed(peerId) ?? 'no direct path has worked so far';
}

/** What this node itself can say; it does not guess. */
function whyUnlinked(node: MeshNode, peerId: PeerId, isQuiet: boolean): string {
  if (isQuiet) return 'there is a channel, but its other end does not answer: ended soon unless it does';
  const known = node.registry.node(peerId);
  if (known === undefined) return 'it has told nothing of itself since this node began';
  if (!known.isAlive) return 'nobody that this node hears has a sign of life of it';
  if (known.profile.addresses.length === 0) return 'it lives, heard through others; it tells no address';
  return 'it lives, heard through others; no channel is open from here';
}

/** Who reaches whom: the own row as it is now, the others as they told. */
export function linkMatrixOf(node: MeshNode): LinkMatrix {
  return matrixOf(
    node.mesh.gate.members().map(({ peerId }) => {
      const known = node.registry.node(peerId);
      return {
        peerId,
        name: known?.profile.name ?? null,
        isAlive: peerId === node.self || (known?.isAlive ?? false),
        row: peerId === node.self ? node.registry.ownLinks() : node.registry.linksOf(peerId),
      };
    }),
  );
}
