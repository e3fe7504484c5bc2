import type { PeerId } from '../../../src/base/index.ts';
import {
  certificateHash,
  encodeRootEntry,
  encodeRootList,
  type Identity,
  rootListDigest,
  type Succession,
  type SuccessionFacts,
  signSuccession,
  signVouch,
  verifyCertificate,
} from '../../../src/mesh/index.ts';
import { certificateFor, crypto, meshId, peerIdsOf, rootSeed, seedOf } from './support.ts';

/** Root keys of the mesh of the tests, by number. */
export const rootSeeds = [rootSeed, seedOf(301), seedOf(302), seedOf(303)] as const;
export const forgedSeed = seedOf(399);

/** @param listed whose certificates, as `certificateFor` gives them, stay valid. */
export function listOf(listed: readonly Identity[]): Uint8Array {
  return encodeRootList(
    listed.map((identity) => {
      const certificate = verifyCertificate({ crypto, meshId }, certificateFor(identity));
      return { peerId: identity.peerId, certificateHash: certificateHash(crypto, certificate) };
    }),
  );
}

export interface SuccessionStory extends Partial<SuccessionFacts> {
  readonly fromSeed?: Uint8Array;
  readonly toSeed?: Uint8Array;
  readonly stay: readonly Identity[];
  readonly out?: readonly Identity[];
}

/** The statement that the root key of `number` follows upon the one before. */
export function successionOf(story: SuccessionStory): Succession {
  const { stay, out = [], fromSeed, toSeed, ...facts } = story;
  const number = facts.number ?? 1;
  const list = listOf(stay);
  return signSuccession(
    {
      crypto,
      fromSeed: fromSeed ?? (rootSeeds[number - 1] as Uint8Array),
      toSeed: toSeed ?? (rootSeeds[number] as Uint8Array),
    },
    {
      meshId,
      number,
      listDigest: rootListDigest(crypto, list),
      listCount: stay.length,
      revoked: peerIdsOf(out),
      voters: peerIdsOf(stay).slice(0, 7),
      vouchers: peerIdsOf([...stay, ...out]).slice(0, 16) as PeerId[],
      issuedAtMs: 5_000,
      ...facts,
    },
  );
}

/** With the words of `by` for it. */
export function entryOf(succession: Succession, by: readonly Identity[]): Uint8Array {
  return encodeRootEntry({
    succession,
    vouches: by.map((identity) => signVouch(crypto, identity, succession)),
  });
}
