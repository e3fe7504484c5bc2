import { CID } from 'multiformats/cid';
import * as digest from 'multiformats/hashes/digest';
import { AspenError, type Brand } from '../base/index.ts';

/** CIDv1 in base 32, sha2-256: of the bytes where one chunk holds them, else of the root of the UnixFS tree over the chunks. */
export type BlobId = Brand<string, 'BlobId'>;

export const RAW_CODEC = 0x55;
export const DAG_PB_CODEC = 0x70;
const SHA2_256 = 0x12;
export const DIGEST_BYTES = 32;

/** All ids have this form, so nothing but an id is ever a name in the file system. */
const FORM = /^(bafkrei|bafybei)[a-z2-7]{52}$/;

/** @param sha256 {@link DIGEST_BYTES} bytes. */
export function cidOf(codec: number, sha256: Uint8Array): CID {
  return CID.createV1(codec, digest.create(SHA2_256, sha256));
}

export function isBlobId(text: unknown): text is BlobId {
  if (typeof text !== 'string' || !FORM.test(text)) return false;
  try {
    const { version, code, multihash } = CID.parse(text);
    return (
      version === 1 &&
      (code === RAW_CODEC || code === DAG_PB_CODEC) &&
      multihash.code === SHA2_256 &&
      multihash.digest.length === DIGEST_BYTES &&
      CID.parse(text).toString() === text
    );
  } catch {
    return false; // not the text of a CID: that is the answer
  }
}

/** @throws AspenError INVALID_PARAMS */
export function parseBlobId(text: string): BlobId {
  if (isBlobId(text)) return text;
  throw new AspenError(
    'INVALID_PARAMS',
    `"${text.slice(0, 80)}" is no blob id: one is a CID of version 1, like bafkrei... or bafybei...`,
  );
}
