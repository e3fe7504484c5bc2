import { z } from 'zod';
import { AspenError, type Crypto, decode, encode, type MeshId, type PeerId } from '../base/index.ts';
import { createIdentity, isPeerId, RootBook, verifyCertificate } from '../mesh/index.ts';

/**
 * What a node keeps about the mesh it belongs to, in its own file: enough to come back without a ticket.
 * `foundingRootSeed` is there only between the founding and the moment the group holds the root key; it is what makes a
 * founding that was cut off by a crash finish at the next start.
 */
export interface Membership {
  readonly meshId: MeshId;
  /** Public half of the mesh's root key at the time of joining, 32 bytes. */
  readonly rootPublicKey: Uint8Array;
  /** This node's certificate, as encoded by its signer. */
  readonly certificate: Uint8Array;
  readonly foundingRootSeed: Uint8Array | null;
  /** Addresses to try first: the members named by the ticket, for the first start after joining. */
  readonly contacts: readonly { readonly peerId: string; readonly addresses: readonly string[] }[];
  /** The successors of the first root key that this node believes, in order, encoded. */
  readonly roots: readonly Uint8Array[];
  /** Whose word it takes for the next one. */
  readonly witnesses: readonly PeerId[];
}

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes');

const membershipSchema = z.object({
  version: z.literal(1),
  meshId: z.string().min(1),
  rootPublicKey: bytes,
  certificate: bytes,
  foundingRootSeed: bytes.nullable(),
  contacts: z.array(z.object({ peerId: z.string(), addresses: z.array(z.string()) })),
  roots: z.array(bytes).default([]),
  witnesses: z.array(z.custom<PeerId>(isPeerId, 'expected a peer id')).default([]),
});

export function encodeMembership(membership: Membership): Uint8Array {
  return encode({ version: 1, ...membership });
}

/**
 * @param file what was kept.
 * @param seed of this node's identity.
 * @throws AspenError INTERNAL when the file cannot be read or tells of another node: one whose identity was lost must not come back as a stranger.
 */
export function ownMembership(
  crypto: Crypto,
  { file, seed }: { readonly file: Uint8Array; readonly seed: Uint8Array },
): Membership {
  const way = 'restore the data directory from a backup, or join again from an empty one';
  let membership: Membership;
  let owner: PeerId;
  try {
    membership = decodeMembership(file);
    const { meshId, certificate } = membership;
    const roots = new RootBook({ crypto, meshId }, { entries: membership.roots });
    owner = verifyCertificate({ crypto, meshId, roots }, certificate).peerId;
  } catch (cause) {
    throw new AspenError('INTERNAL', `the file mesh is damaged (${file.length} bytes): ${way}`, { cause });
  }
  const { peerId } = createIdentity(crypto, seed);
  if (owner === peerId) return membership;
  throw new AspenError('INTERNAL', `the file mesh is of node ${owner}, and this one is ${peerId}: ${way}`);
}

/** @throws AspenError or ZodError when the file is not a membership this version can read. */
export function decodeMembership(file: Uint8Array): Membership {
  const { version: _, ...membership } = membershipSchema.parse(decode(file));
  return { ...membership, meshId: membership.meshId as MeshId };
}
