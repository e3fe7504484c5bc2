import assert from 'node:assert/strict';
import { Acquaintances } from '../../../src/agent/acquaintances.ts';
import { AspenError, type Coordinate, type PeerId, silentLogger } from '../../../src/base/index.ts';
import type { NodeEntry, Registry } from '../../../src/crdt/index.ts';
import type { GroupStatus } from '../../../src/lease/index.ts';
import type { MembershipGate, Role } from '../../../src/mesh/index.ts';

const [ada, bob, cid] = ['ada', 'bob', 'cid'] as PeerId[] as [PeerId, PeerId, PeerId];
const at = (xMs: number): Coordinate => ({ xMs, yMs: 0, heightMs: 1, error: 0.1 });

/** Ada, as her parts see the others. A certificate is the name of its owner; one of nobody does not hold. */
class Ada {
  readonly roles = new Map<PeerId, Role>([
    [ada, 'voter'],
    [bob, 'worker'],
  ]);
  readonly nodes = new Map<PeerId, Partial<NodeEntry>>();
  status = { voters: [ada], leader: bob } as unknown as GroupStatus;
  readonly acquaintances = new Acquaintances({
    self: ada,
    gate: {
      members: () => [...this.roles].map(([peerId, role]) => ({ peerId, role })),
      certificateOf: (peerId: PeerId) => this.roles.has(peerId) && { role: this.roles.get(peerId) },
      verify: (certificate: Uint8Array) => {
        const peerId = Buffer.from(certificate).toString();
        if (peerId === 'nobody') throw new AspenError('DENIED', 'not of this mesh');
        return { peerId, signature: new Uint8Array(64) };
      },
      admit: (certificate: Uint8Array) =>
        this.roles.set(Buffer.from(certificate).toString() as PeerId, 'worker'),
    } as unknown as MembershipGate,
    log: silentLogger,
    registry: () =>
      ({
        coordinate: at(0),
        node: (peerId: PeerId) => this.nodes.get(peerId),
        bulletins: { all: () => [] },
      }) as unknown as Registry,
    group: () => ({ status: () => this.status }),
    connected: () => [bob, cid],
  });

  describe(peerId: PeerId, addresses: readonly string[], xMs: number): void {
    const profile = { addresses } as unknown as NodeEntry['profile'];
    this.nodes.set(peerId, { peerId, profile, isAlive: true, coordinate: at(xMs) });
  }
}

describe('whom a node knows', () => {
  let node: Ada;
  beforeEach(() => {
    node = new Ada();
  });

  it('is every other member that told of itself, with where and how far it is', () => {
    node.describe(ada, ['here'], 0);
    assert.deepEqual(node.acquaintances.known(), []);
    node.describe(bob, ['there'], 8);
    assert.deepEqual(node.acquaintances.known(), [{ peerId: bob, addresses: ['there'], isRelay: false }]);
    assert.deepEqual(node.acquaintances.linkable(), [
      { peerId: bob, isAlive: true, rttMs: 10, addresses: ['there'] },
    ]);
  });

  it('is who votes and who leads, and which of the linked may work', () => {
    assert.deepEqual([...node.acquaintances.deciders()], [ada, bob]);
    node.status = { ...node.status, leader: null };
    assert.deepEqual([...node.acquaintances.deciders()], [ada]);
    assert.deepEqual(node.acquaintances.linkedWorkers(), [bob]);
  });

  it('is reached where it says, and where it is linked when it says nothing', () => {
    assert.deepEqual(node.acquaintances.addressesOf(bob, 'linked'), ['linked']);
    node.describe(bob, ['there'], 1);
    assert.deepEqual(node.acquaintances.addressesOf(bob, 'linked'), ['there']);
  });

  it('grows by who proves itself, and by nobody else', () => {
    node.acquaintances.meet(cid, Buffer.from('nobody'));
    node.acquaintances.meet(cid, Buffer.from(bob));
    assert.equal(node.acquaintances.roleOf(cid), undefined);
    node.acquaintances.meet(cid, Buffer.from(cid));
    assert.equal(node.acquaintances.roleOf(cid), 'worker');
  });

  it('does not grow by who has left, until it is admitted again', () => {
    node.acquaintances.onFacts([
      { module: 'members', type: 'left', peerId: cid },
      { module: 'jobs', type: 'admitted', peerId: cid },
    ]);
    node.acquaintances.meet(cid, Buffer.from(cid));
    assert.equal(node.acquaintances.roleOf(cid), undefined);
    node.acquaintances.onFacts([{ module: 'members', type: 'admitted', peerId: cid }]);
    node.acquaintances.meet(cid, Buffer.from(cid));
    assert.equal(node.acquaintances.roleOf(cid), 'worker');
  });
});
