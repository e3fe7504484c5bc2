import assert from 'node:assert/strict';
import type { Membership } from '../../../src/agent/membership.ts';
import { MembershipFile } from '../../../src/agent/membership-file.ts';
import { AspenError } from '../../../src/base/index.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import { createIdentity, encodeCertificate, meshIdOf, signCertificate } from '../../../src/mesh/index.ts';
import type { DataDirectory } from '../../../src/storage/index.ts';

describe('the file of a membership', () => {
  const crypto = new OsCrypto();
  const seed = new Uint8Array(32).fill(1);
  const rootSeed = new Uint8Array(32).fill(2);
  const rootPublicKey = createIdentity(crypto, rootSeed).publicKey;
  const { peerId, sealingKey } = createIdentity(crypto, seed);
  const facts = { peerId, role: 'voter', sealingKey, issuedAtMs: 1, ticketId: null } as const;
  const membership: Membership = {
    meshId: meshIdOf(crypto, rootPublicKey),
    rootPublicKey,
    certificate: encodeCertificate(signCertificate({ crypto, rootSeed }, facts)),
    foundingRootSeed: null,
    contacts: [],
    roots: [],
    witnesses: [],
  };
  let bytes: Uint8Array | undefined;
  let held: PromiseWithResolvers<void> | undefined;
  let isFull = false;
  let file: MembershipFile;
  beforeEach(() => {
    [bytes, held, isFull] = [undefined, undefined, false];
    const directory = {
      seed,
      readFile: async () => bytes,
      writeFileAtomic: async (_name: string, written: Uint8Array) => {
        await held?.promise;
        if (isFull) throw new AspenError('RESOURCE_EXHAUSTED', 'the disk is full');
        bytes = written;
      },
      removeFile: async () => {
        bytes = undefined;
      },
    } as unknown as DataDirectory;
    file = new MembershipFile({ crypto, directory });
  });

  it('holds what was written last, until it is removed', async () => {
    assert.equal(await file.read(), undefined);
    await file.write(membership);
    assert.deepEqual((await file.read())?.meshId, membership.meshId);
    await file.remove();
    assert.equal(await file.read(), undefined);
  });

  it('is written with what is to be kept when its turn comes, and not where nothing is any more', async () => {
    held = Promise.withResolvers();
    const first = file.write(membership);
    let latest: Membership | undefined = { ...membership, witnesses: [peerId] };
    const second = file.writeLatest(() => latest);
    const third = file.writeLatest(() => undefined);
    latest = { ...membership, witnesses: [peerId, peerId] };
    held.resolve();
    await Promise.all([first, second, third, file.written()]);
    assert.deepEqual((await file.read())?.witnesses, [peerId, peerId]);
  });

  it('tells whoever writes of a full disk, and takes the next one', async () => {
    isFull = true;
    await assert.rejects(file.write(membership), { code: 'RESOURCE_EXHAUSTED' });
    await file.written();
    isFull = false;
    await file.write(membership);
    assert.notEqual(await file.read(), undefined);
  });
});
