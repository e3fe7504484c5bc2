import type { Crypto, Random } from '../base/index.ts';

/** A node to which a secret is sealed. */
export interface Recipient {
  readonly peerId: string;
  /** X25519, 32 bytes; its private half is in a file that only the node's supervisors read. */
  readonly sealingKey: Uint8Array;
}

/** What opens a secret for one node. */
export interface Grant extends Recipient {
  /** The data key, sealed to the node. */
  readonly wrap: Uint8Array;
}

/** One version of a secret as the mesh keeps it: nobody can read it but the nodes with a grant. */
export interface SealedSecret {
  readonly name: string;
  /** Of this version, 32 hex digits, drawn by whoever sealed it. */
  readonly id: string;
  /** The value, sealed to the data key. */
  readonly box: Uint8Array;
  readonly grants: readonly Grant[];
}

/** One version of a secret as one node is given it. */
export interface SealedForNode {
  readonly name: string;
  readonly id: string;
  readonly box: Uint8Array;
  readonly wrap: Uint8Array;
}

export interface SealingComponents {
  readonly crypto: Pick<Crypto, 'sha256' | 'seal' | 'open' | 'sealingPublicKey'>;
  readonly random: Pick<Random, 'bytes'>;
}

const KEY_BYTES = 32;
const ID_BYTES = 16;
const MARK_BYTES = 32;

/**
 * Seals a value to some nodes.
 *
 * - E1 Each version has a data key of its own, drawn for it. The value is sealed to that key, and the key to each node that may read.
 * - E2 What is sealed says of which secret, which version and which node it is: a box or a wrap that was put somewhere else does not open.
 */
export function sealSecret(
  components: SealingComponents,
  {
    name,
    value,
    recipients,
  }: { readonly name: string; readonly value: Uint8Array; readonly recipients: readonly Recipient[] },
): SealedSecret {
  const { crypto, random } = components;
  const id = Buffer.from(random.bytes(ID_BYTES)).toString('hex');
  const dataKey = random.bytes(KEY_BYTES);
  const mark = markOf(crypto, ['value', name, id]);
  const box = crypto.seal(crypto.sealingPublicKey(dataKey), joined(mark, value), random.bytes(KEY_BYTES));
  const grants = recipients.map((recipient) => wrapKey(components, { name, id, dataKey }, recipient));
  return { name, id, box, grants };
}

/** Seals the data key of a version to one more node. @param dataKey of {@link openDataKey}. */
export function wrapKey(
  { crypto, random }: SealingComponents,
  { name, id, dataKey }: { readonly name: string; readonly id: string; readonly dataKey: Uint8Array },
  { peerId, sealingKey }: Recipient,
): Grant {
  const mark = markOf(crypto, ['key', name, id, peerId]);
  return {
    peerId,
    sealingKey,
    wrap: crypto.seal(sealingKey, joined(mark, dataKey), random.bytes(KEY_BYTES)),
  };
}

/** E2 @param privateKey of the node. @returns undefined when this is not of that secret, version and node, or was changed. */
export function openDataKey(
  crypto: SealingComponents['crypto'],
  privateKey: Uint8Array,
  { name, id, wrap, peerId }: Pick<SealedForNode, 'name' | 'id' | 'wrap'> & { readonly peerId: string },
): Uint8Array | undefined {
  const dataKey = unmarked(crypto.open(privateKey, wrap), markOf(crypto, ['key', name, id, peerId]));
  return dataKey?.length === KEY_BYTES ? dataKey : undefined;
}

/** E2 @returns the value; undefined as {@link openDataKey}. */
export function openSecret(
  crypto: SealingComponents['crypto'],
  privateKey: Uint8Array,
  sealed: SealedForNode & { readonly peerId: string },
): Uint8Array | undefined {
  const dataKey = openDataKey(crypto, privateKey, sealed);
  if (dataKey === undefined) return undefined;
  const { name, id, box } = sealed;
  return unmarked(crypto.open(dataKey, box), markOf(crypto, ['value', name, id]));
}

function markOf(crypto: Pick<Crypto, 'sha256'>, parts: readonly string[]): Uint8Array {
  return crypto.sha256(Buffer.from(JSON.stringify(['aspen secret v1', ...parts])));
}

function unmarked(plain: Uint8Array | undefined, mark: Uint8Array): Uint8Array | undefined {
  if (plain === undefined || plain.length < MARK_BYTES) return undefined;
  return Buffer.from(plain.subarray(0, MARK_BYTES)).equals(mark) ? plain.subarray(MARK_BYTES) : undefined;
}

function joined(mark: Uint8Array, bytes: Uint8Array): Uint8Array {
  const whole = new Uint8Array(mark.length + bytes.length);
  whole.set(mark);
  whole.set(bytes, mark.length);
  return whole;
}
