import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, decode, encode } from '../../../src/base/index.ts';
import {
  ADDRESS_RECORD_BYTES_LIMIT,
  addressRecordName,
  signAddressRecord,
  verifyAddressRecord,
} from '../../../src/mesh/index.ts';
import { MessageBound } from '../../../src/mesh/message-bound.ts';
import { crypto, identityOf, meshId } from './support.ts';

const identity = identityOf(1);
const verifier = { crypto, meshId };
const sign = (addresses: readonly string[], mesh = meshId) =>
  signAddressRecord({ crypto, meshId: mesh, identity }, { addresses, issuedAtMs: 5_000 });

describe('a record of addresses', () => {
  const addresses = ['/ip4/203.0.113.1/tcp/4100', '/ip6/2001:db8::1/tcp/4100'];

  it('H3 says what its member signed', () => {
    assert.deepEqual(verifyAddressRecord(verifier, sign(addresses)), {
      peerId: identity.peerId,
      addresses,
      issuedAtMs: 5_000,
    });
  });

  it('H3 does not count when anything in it was changed, or in another mesh', () => {
    const record = decode(sign(addresses)) as Readonly<Record<string, unknown>>;
    const changes = [
      { peerId: identityOf(2).peerId },
      { addresses: [addresses[0]] },
      { addresses: [...addresses].reverse() },
      { addresses: [addresses.join()] },
      { issuedAtMs: 5_001 },
      { signature: Buffer.alloc(64) },
    ];
    for (const change of changes)
      assert.throws(() => verifyAddressRecord(verifier, encode({ ...record, ...change })), /DENIED|count/);
    const elsewhere = `${meshId}x` as typeof meshId;
    assert.throws(() => verifyAddressRecord(verifier, sign(addresses, elsewhere)), /signature/);
  });

  it('is of a bounded size, whatever there is to tell', () => {
    const many = Array.from({ length: 40 }, (_, at) => `/dns4/${'x'.repeat(200)}${at}/tcp/4100`);
    const bytes = sign([...many, `/${'y'.repeat(300)}`]);
    assert.ok(bytes.length <= ADDRESS_RECORD_BYTES_LIMIT, `${bytes.length} bytes`);
    assert.equal(verifyAddressRecord(verifier, bytes).addresses.length, 8);
  });

  it('has a name that depends on the mesh and the member, and shows neither', () => {
    const name = addressRecordName(verifier, identity.peerId);
    assert.match(name, /^[0-9a-f]{64}$/);
    const others = [
      addressRecordName(verifier, identityOf(2).peerId),
      addressRecordName({ crypto, meshId: `${meshId}x` as typeof meshId }, identity.peerId),
    ];
    assert.ok(!others.includes(name));
  });

  it('garbage is refused', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.throws(() => verifyAddressRecord(verifier, bytes), AspenError);
      }),
    );
  });
});

describe('one message on a stream', () => {
  const message = (length: number) => {
    const head: number[] = [];
    let rest = length;
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) head.push((rest % 0x80) | 0x80);
    return Buffer.from([...head, rest, ...Buffer.alloc(length, 0xff)]);
  };

  it('M2 passes in whatever pieces it comes, and nothing comes after it', () => {
    const cases = fc.tuple(fc.nat(3_000), fc.array(fc.integer({ min: 1, max: 700 }), { maxLength: 30 }));
    fc.assert(
      fc.property(cases, ([length, cuts]) => {
        const bound = new MessageBound(3_000);
        let rest = message(length);
        for (const cut of cuts) {
          assert.ok(bound.admits(rest.subarray(0, cut)));
          rest = rest.subarray(cut);
        }
        assert.ok(bound.admits(rest));
        assert.ok(!bound.admits(Buffer.from([0])));
      }),
    );
  });

  it('M2 ends with a length that is too large, or none', () => {
    assert.ok(!new MessageBound(100).admits(message(101)));
    assert.ok(!new MessageBound(100).admits(Buffer.from([0xff, 0xff, 0xff, 0xff])));
    assert.ok(new MessageBound(100).admits(Buffer.alloc(0)));
  });
});
