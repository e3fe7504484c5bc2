import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Acquaintances } from '../../../src/agent/acquaintances.ts';
import { DEPARTURES, linkMembership } from '../../../src/agent/membership-links.ts';
import { Listeners, type PeerId, silentLogger } from '../../../src/base/index.ts';
import type { Bulletin, Registry } from '../../../src/crdt/index.ts';
import type { Group } from '../../../src/lease/index.ts';
import {
  type Departure,
  departureKey,
  MembershipGate,
  signDeparture,
  type Transport,
  VolatileGateMemory,
  verifyDeparture,
} from '../../../src/mesh/index.ts';
import { certificateFor, crypto, identityOf, meshId, seedOf } from '../mesh/support.ts';

const [ada, bob, eve] = [1, 2, 3].map(identityOf) as [
  ReturnType<typeof identityOf>,
  ReturnType<typeof identityOf>,
  ReturnType<typeof identityOf>,
];

/** What a registry is to those who hear of departures. */
class Board {
  readonly bulletins: Bulletin[] = [];
  readonly forgotten: PeerId[] = [];
  readonly added = new Listeners<Bulletin>();
  readonly registry = {
    bulletins: {
      all: (kind: string) => this.bulletins.filter((each) => each.kind === kind),
      onAdded: (callback: (bulletin: Bulletin) => void) => this.added.add(callback),
    },
    forget: (peerId: PeerId) => this.forgotten.push(peerId),
  } as unknown as Registry;

  pin(bytes: Uint8Array): void {
    const key = departureKey(verifyDeparture({ crypto, meshId }, bytes) as Departure);
    const bulletin = { kind: DEPARTURES, key, bytes };
    this.bulletins.push(bulletin);
    this.added.emit(bulletin);
  }
}

/** Ada, who knows bob; links end when the test says so. */
class Ada {
  readonly board = new Board();
  readonly gate = new MembershipGate(
    { crypto, memory: new VolatileGateMemory(), log: silentLogger },
    { meshId },
  );
  readonly links = new Listeners<{ readonly peerId: PeerId; readonly type: 'opened' | 'closed' }>();
  readonly linked = new Set<PeerId>();
  readonly acquaintances = new Acquaintances({
    self: ada.peerId,
    gate: this.gate,
    log: silentLogger,
    registry: () => this.board.registry,
    group: () => ({}) as Group,
    connected: () => [...this.linked],
  });

  constructor() {
    this.gate.admit(certificateFor(bob));
  }

  listen(): Disposable {
    return linkMembership({
      self: ada.peerId,
      crypto,
      gate: this.gate,
      registry: this.board.registry,
      group: { onFacts: () => ({ [Symbol.dispose]: () => undefined }) },
      transport: {
        hangUp: (peerId) => this.hangUp(peerId),
        isLinked: (peerId) => this.linked.has(peerId),
        onLink: (callback) => this.links.add(callback),
      } as Pick<Transport, 'hangUp' | 'isLinked' | 'onLink'>,
    });
  }

  hangUp(peerId: PeerId): void {
    this.linked.delete(peerId);
    this.links.emit({ peerId, type: 'closed' });
  }
}

const departureOf = (signer: number, peerId: PeerId, certificateSignature: Uint8Array, mesh = meshId) =>
  signDeparture({ crypto, seed: seedOf(signer) }, { meshId: mesh, peerId, certificateSignature });

describe('a departure', () => {
  const signature = new Uint8Array(64).fill(7);

  it('counts when the one who leaves signed it, for this mesh', () => {
    const bytes = departureOf(2, bob.peerId, signature);
    assert.equal(verifyDeparture({ crypto, meshId }, bytes)?.peerId, bob.peerId);
    assert.equal(verifyDeparture({ crypto, meshId: undefined }, bytes), undefined);
    assert.equal(verifyDeparture({ crypto, meshId }, departureOf(3, bob.peerId, signature)), undefined);
    const elsewhere = departureOf(2, bob.peerId, signature, 'another' as typeof meshId);
    assert.equal(verifyDeparture({ crypto, meshId }, elsewhere), undefined);
  });

  it('is none when a byte of it is another, or when it is garbage', () => {
    const bytes = departureOf(2, bob.peerId, signature);
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const forged = Uint8Array.from(bytes);
        forged[at] = (forged[at] as number) ^ change;
        const told = verifyDeparture({ crypto, meshId }, forged);
        if (told !== undefined) assert.deepEqual(told.certificateSignature, signature);
      }),
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), (garbage) =>
        assert.equal(verifyDeparture({ crypto, meshId }, garbage), undefined),
      ),
    );
  });
});

describe('whoever left', () => {
  let node: Ada;
  let ofBob: Uint8Array;
  beforeEach(() => {
    node = new Ada();
    const { signature } = node.gate.certificateOf(bob.peerId) as { signature: Uint8Array };
    ofBob = departureOf(2, bob.peerId, signature);
  });

  it('is forgotten by who hears its word, once it has hung up', () => {
    using _links = node.listen();
    node.linked.add(bob.peerId);
    node.board.pin(ofBob);
    assert.equal(node.gate.standingOf(bob.peerId), 'member', 'it still has to hear that it is out');
    node.hangUp(bob.peerId);
    assert.equal(node.gate.standingOf(bob.peerId), 'stranger');
    assert.deepEqual(node.board.forgotten, [bob.peerId]);
  });

  it('is forgotten by who was down meanwhile, and is not met again by what others still hold of it', () => {
    node.board.pin(ofBob);
    using _links = node.listen();
    assert.equal(node.gate.standingOf(bob.peerId), 'stranger');
    node.acquaintances.meet(bob.peerId, certificateFor(bob));
    assert.equal(node.gate.standingOf(bob.peerId), 'stranger');
    node.acquaintances.meet(eve.peerId, certificateFor(eve));
    assert.equal(node.gate.standingOf(eve.peerId), 'member');
  });

  it('stays when the word is of an earlier membership: it came back by another certificate', () => {
    using _links = node.listen();
    node.board.pin(departureOf(2, bob.peerId, new Uint8Array(64).fill(9)));
    assert.equal(node.gate.standingOf(bob.peerId), 'member');
    node.acquaintances.meet(bob.peerId, certificateFor(bob));
    assert.deepEqual(node.board.forgotten, []);
  });
});
