import assert from 'node:assert/strict';
import fc from 'fast-check';
import { OsCrypto } from '../../../src/base/os-crypto.ts';

const crypto = new OsCrypto();
const hex = (text: string) => new Uint8Array(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

const seed = fc.uint8Array({ minLength: 32, maxLength: 32 });
const bytes = fc.uint8Array({ maxLength: 200 });

describe('crypto', () => {
  it('hashes as FIPS 180-2 says', () => {
    const abc = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
    assert.equal(toHex(crypto.sha256(Buffer.from('abc'))), abc);
  });

  const VECTORS = [
    {
      reason: 'RFC 8032, 7.1, test 1',
      seed: '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
      publicKey: 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a',
      message: '',
      signature:
        'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    },
    {
      reason: 'RFC 8032, 7.1, test 2',
      seed: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      publicKey: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      message: '72',
      signature:
        '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    },
  ] as const;
  for (const vector of VECTORS) {
    it(`signs as ${vector.reason} says`, () => {
      const [own, message] = [hex(vector.seed), hex(vector.message)];
      assert.equal(toHex(crypto.signingPublicKey(own)), vector.publicKey);
      assert.equal(toHex(crypto.sign(own, message)), vector.signature);
      assert.equal(crypto.verify(hex(vector.publicKey), message, hex(vector.signature)), true);
    });
  }

  it('refuses a signature when a bit of it, of the message or of the key is another', () => {
    fc.assert(
      fc.property(
        seed,
        fc.uint8Array({ minLength: 1, maxLength: 50 }),
        fc.nat(),
        fc.nat(7),
        (own, message, at, bit) => {
          const publicKey = crypto.signingPublicKey(own);
          const signature = crypto.sign(own, message);
          const flipped = (original: Uint8Array) =>
            original.map((byte, each) => (each === at % original.length ? byte ^ (1 << bit) : byte));
          assert.equal(crypto.verify(publicKey, message, signature), true);
          assert.equal(crypto.verify(publicKey, flipped(message), signature), false);
          assert.equal(crypto.verify(publicKey, message, flipped(signature)), false);
          assert.equal(crypto.verify(flipped(publicKey), message, signature), false);
        },
      ),
    );
  });

  it('answers false to garbage of any length, and never throws', () => {
    fc.assert(
      fc.property(bytes, bytes, bytes, (publicKey, message, signature) => {
        assert.equal(crypto.verify(publicKey, message, signature), false);
      }),
    );
    fc.assert(
      fc.property(
        seed,
        bytes,
        fc.uint8Array({ minLength: 64, maxLength: 64 }),
        (publicKey, message, signature) => {
          assert.equal(crypto.verify(publicKey, message, signature), false);
        },
      ),
    );
  });

  it('seals so that the holder of the key can open, and nobody else', () => {
    fc.assert(
      fc.property(seed, seed, seed, bytes, (own, other, ephemeral, plain) => {
        fc.pre(toHex(own) !== toHex(other));
        const box = crypto.seal(crypto.sealingPublicKey(own), plain, ephemeral);
        assert.equal(toHex(crypto.open(own, box) ?? hex('00')), toHex(plain));
        assert.equal(crypto.open(other, box), undefined);
      }),
      { numRuns: 30 },
    );
  });

  it('does not open a box that was changed anywhere, or cut', () => {
    const own = new Uint8Array(32).fill(7);
    const box = crypto.seal(crypto.sealingPublicKey(own), Buffer.from('secret'), new Uint8Array(32).fill(9));
    for (let at = 0; at < box.length; at += 1) {
      const changed = box.map((byte, each) => (each === at ? byte ^ 1 : byte));
      assert.equal(crypto.open(own, changed), undefined, `byte ${at}`);
      assert.equal(crypto.open(own, box.subarray(0, at)), undefined, `cut at ${at}`);
    }
  });

  it('compares secrets of any length', () => {
    assert.equal(crypto.equal(hex('0102'), hex('0102')), true);
    assert.equal(crypto.equal(hex('0102'), hex('0103')), false);
    assert.equal(crypto.equal(hex('0102'), hex('01')), false);
  });
});
