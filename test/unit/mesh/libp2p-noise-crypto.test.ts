import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { pureJsCrypto } from '@chainsafe/libp2p-noise';
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys';
import { quickHandshakeCrypto, signingOnce } from '../../../src/mesh/libp2p-noise-crypto.ts';

describe('the cryptography of handshakes', () => {
  const crypto = quickHandshakeCrypto();

  it('agrees on the secret that the library computes, with keys of both', () => {
    for (let count = 0; count < 20; count += 1) {
      const mine = crypto.generateKeypair();
      const theirs = pureJsCrypto.generateX25519KeyPair();
      const secret = pureJsCrypto.generateX25519SharedKey(
        theirs.privateKey.subarray(),
        mine.publicKey.subarray(),
      );
      assert.deepEqual(Buffer.from(crypto.dh(mine, theirs.publicKey)), Buffer.from(secret));
      assert.deepEqual(Buffer.from(crypto.dh(theirs, mine.publicKey)), Buffer.from(secret));
      const list = { subarray: () => mine.publicKey.subarray() };
      assert.deepEqual(Buffer.from(crypto.dh(theirs, list)), Buffer.from(secret));
    }
  });

  it('makes keys whose public part belongs to the private one', () => {
    const { publicKey, privateKey } = crypto.generateKeypair();
    const again = pureJsCrypto.generateX25519KeyPairFromSeed(privateKey.subarray());
    assert.deepEqual(Buffer.from(again.publicKey.subarray()), Buffer.from(publicKey.subarray()));
  });

  it('refuses points that make the secret known beforehand', () => {
    const mine = crypto.generateKeypair();
    for (const point of [Buffer.alloc(32), Buffer.concat([Buffer.of(1), Buffer.alloc(31)])])
      assert.throws(() => crypto.dh(mine, point));
  });

  it('derives the keys that the library derives, of nothing too', () => {
    for (const bytes of [0, 1, 32, 100]) {
      const [chainingKey, secret] = [randomBytes(32), randomBytes(bytes)];
      assert.deepEqual(
        crypto.hkdf(chainingKey, secret).map((key) => Buffer.from(key).toString('hex')),
        pureJsCrypto.getHKDF(chainingKey, secret).map((key) => Buffer.from(key).toString('hex')),
      );
    }
  });

  it('signs what it has signed before with the same signature, and another message with another one', async () => {
    const key = await generateKeyPairFromSeed('Ed25519', randomBytes(32));
    const signing = signingOnce(key);
    for (const text of ['one', 'one', 'another', 'one']) {
      const message = Buffer.from(text);
      const signature = await signing.sign(message);
      assert.deepEqual(Buffer.from(signature), Buffer.from(await key.sign(message)));
      assert.ok(await signing.publicKey.verify(message, signature));
    }
  });
});
