import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AbsenceBook } from '../../../src/agent/discharges.ts';
import { silentLogger } from '../../../src/base/index.ts';
import {
  MembershipGate,
  type RootSigner,
  signDischarge,
  VolatileGateMemory,
  verifyDischarge,
} from '../../../src/mesh/index.ts';
import { certificateFor, crypto, identityOf, meshId, rootSeed } from '../mesh/support.ts';

const bob = identityOf(2);
const signer: RootSigner = { crypto, rootSeed };
const signature = new Uint8Array(64).fill(7);
const first = { number: 0, numberOf: (key: Uint8Array) => (isRoot(key) ? 0 : undefined) };

function isRoot(key: Uint8Array): boolean {
  return crypto.equal(key, crypto.signingPublicKey(rootSeed));
}

describe('a discharge', () => {
  const bytes = signDischarge(signer, { peerId: bob.peerId, certificateSignature: signature });

  it('G7 counts when the present root key of this mesh signed it, and no longer once another one is the root', () => {
    assert.equal(verifyDischarge({ crypto, meshId, roots: first }, bytes)?.peerId, bob.peerId);
    const later = { number: 1, numberOf: first.numberOf };
    assert.equal(verifyDischarge({ crypto, meshId, roots: later }, bytes), undefined);
    assert.equal(verifyDischarge({ crypto, meshId: undefined, roots: first }, bytes), undefined);
    const strange = signDischarge(
      { crypto, rootSeed: new Uint8Array(32).fill(5), meshId },
      { peerId: bob.peerId, certificateSignature: signature },
    );
    assert.equal(verifyDischarge({ crypto, meshId, roots: first }, strange), undefined);
  });

  it('is none when a byte of it is another, or when it is garbage', () => {
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const forged = Uint8Array.from(bytes);
        forged[at] = (forged[at] as number) ^ change;
        const told = verifyDischarge({ crypto, meshId, roots: first }, forged);
        if (told !== undefined) assert.deepEqual(told.certificateSignature, signature);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (garbage) =>
        assert.equal(verifyDischarge({ crypto, meshId, roots: first }, garbage), undefined),
      ),
    );
  });
});

describe('a membership that has ended', () => {
  it('G6 admits nobody any more, and a later one of the same peer does', () => {
    const gate = new MembershipGate(
      { crypto, memory: new VolatileGateMemory(), log: silentLogger },
      { meshId },
    );
    const { signature: certificateSignature, issuedAtMs } = gate.admit(certificateFor(bob));
    gate.end({ peerId: bob.peerId, certificateSignature });
    assert.equal(gate.standingOf(bob.peerId), 'member', 'it stays until it is forgotten');
    gate.forget(bob.peerId);
    assert.throws(() => gate.admit(certificateFor(bob)), /has left this mesh/);
    gate.admit(certificateFor(bob, { issuedAtMs: issuedAtMs + 1 }));
    assert.equal(gate.standingOf(bob.peerId), 'member');
  });
});

describe('whom the group does not know', () => {
  const dead = { key: 'dead', isAlive: false };
  const alive = { key: 'alive', isAlive: true };

  it('is discharged once one leader has missed it long enough for a word of its own', () => {
    const book = new AbsenceBook();
    assert.deepEqual(book.due([dead, alive], { nowMs: 0, epoch: 1 }), []);
    assert.deepEqual(book.due([dead, alive], { nowMs: 19_999, epoch: 1 }), []);
    assert.deepEqual(book.due([dead, alive], { nowMs: 20_000, epoch: 1 }), [dead, alive]);
  });

  it('is counted anew when it was known in between', () => {
    const book = new AbsenceBook();
    book.due([dead], { nowMs: 0, epoch: 1 });
    book.due([], { nowMs: 10_000, epoch: 1 });
    assert.deepEqual(book.due([dead], { nowMs: 20_000, epoch: 1 }), []);
  });

  it('is let be while it lives where a recovery may have lost that it was admitted', () => {
    const book = new AbsenceBook();
    book.due([dead, alive], { nowMs: 0, epoch: 2 });
    assert.deepEqual(book.due([dead, alive], { nowMs: 60_000, epoch: 2 }), [dead]);
  });
});
