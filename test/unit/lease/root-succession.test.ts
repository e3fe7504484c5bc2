import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import type { Member } from '../../../src/lease/machine/index.ts';
import { rootDuty } from '../../../src/lease/root-duty.ts';
import {
  decodeRootList,
  decodeSuccession,
  meshIdOf,
  type Succession,
  secretHash,
  verifyCertificate,
} from '../../../src/mesh/index.ts';
import { type Node, World } from './world.ts';

const LIMITS = { votersLimit: 7, vouchersLimit: 16 };

interface RevokeAnswer {
  readonly revoked: boolean;
  readonly root: { readonly number: number; readonly isDue: boolean };
}

/** A mesh of `count` members that may vote, and do where their number is odd. */
async function groupOf(count: number): Promise<World> {
  const world = new World({ roles: { voters: count === 5 ? 5 : 3 } });
  const first = await world.addNode();
  await world.found(first);
  for (let at = 1; at < count; at += 1) await world.admit(await world.addNode());
  const voterCount = count < 3 ? 1 : count;
  await world.untilTrue('all vote', () => world.leader().group.status().voters.length === voterCount);
  return world;
}

function revoke(world: World, { peerId }: Node): Promise<RevokeAnswer> {
  return world.clock.until(world.leader().group.client.askLeader<RevokeAnswer>('members/revoke', { peerId }));
}

function followers(world: World): Node[] {
  return world.nodes.filter((node) => node !== world.leader());
}

function successionsOf({ group }: Node): Succession[] {
  return (group.agreedRoots()?.successions ?? []).map(decodeSuccession);
}

/** The new keys, in order. */
function namesOf(node: Node): string[] {
  return successionsOf(node).map(({ toKey }) => Buffer.from(toKey).toString('hex'));
}

describe('when the root key is replaced', () => {
  const peers = fc.subarray([...'abcdefgh'] as unknown as PeerId[]);
  const memberOf = (peerId: PeerId, role: string, isRevoked: boolean) =>
    ({ peerId, role, revokedAtMs: isRevoked ? 1 : null, admittedAtMs: 1 }) as unknown as Member;

  it('Y4 names a standby too where the number of voters is even, so that the next witnesses can do without one', () => {
    const [a, b, c, d] = [...'abcd'] as unknown as [PeerId, PeerId, PeerId, PeerId];
    const root = { number: 0, due: [d], left: [], changedAt: 1 };
    const members = [a, b, c].map((peer) => memberOf(peer, 'voter', false));
    const namedOf = (voters: PeerId[], learners: PeerId[]) => {
      const duty = rootDuty({ root, configuration: { voters, outgoing: [], learners }, members }, LIMITS);
      return duty.duty === 'replace' && duty.voters;
    };
    assert.deepEqual(namedOf([a, b], [c]), [a, b, c]);
    assert.deepEqual(namedOf([a], [b, c]), [a]);
    assert.deepEqual(namedOf([a, b], []), [a, b]);
    assert.deepEqual(namedOf([a, b, c], []), [a, b, c]);
  });

  it('Y1 Y2 is never before the revoked are out, and never for them or for who may not vote', () => {
    const role = fc.constantFrom('voter', 'worker');
    const input = fc.record({
      due: peers,
      voters: peers,
      outgoing: peers,
      learners: peers,
      revoked: peers,
      role,
    });
    fc.assert(
      fc.property(input, ({ due, voters, outgoing, learners, revoked, role: roleOfH }) => {
        const members = ([...'abcdefgh'] as unknown as PeerId[]).map((peer) =>
          memberOf(
            peer,
            peer === ('h' as PeerId) ? roleOfH : 'voter',
            due.includes(peer) || revoked.includes(peer),
          ),
        );
        const root = { number: 0, due, left: [], changedAt: 1 };
        const configuration = { voters, outgoing, learners } as never;
        const duty = rootDuty({ root, configuration, members }, LIMITS);
        assert.equal(duty.duty === 'none', due.length === 0);
        if (duty.duty !== 'replace') return;
        assert.equal(outgoing.length, 0);
        assert.ok(!due.some((peer) => [...voters, ...learners].includes(peer)));
        const named = [...duty.keepers.map(({ peerId }) => peerId), ...duty.voters, ...duty.vouchers];
        for (const peer of named) {
          const member = members.find(({ peerId }) => peerId === peer);
          assert.ok(member?.role === 'voter' && member.revokedAtMs === null);
        }
      }),
    );
  });
});

describe('the root key of a mesh', () => {
  it('M5 is replaced when a voter is revoked, for those who stay, with the list of their certificates', async () => {
    const world = await groupOf(3);
    const [out] = followers(world) as [Node];
    const answer = await revoke(world, out);
    assert.deepEqual(answer.root, { number: 1, isDue: false });
    const staying = world.nodes.filter((node) => node !== out);
    await world.untilTrue('all who stay know', () =>
      staying.every((node) => successionsOf(node).length === 1),
    );
    const [succession] = successionsOf(world.leader()) as [Succession];
    assert.equal(meshIdOf(world.crypto, succession.fromKey), world.meshId);
    assert.deepEqual(succession.revoked, [out.peerId]);
    assert.deepEqual([...succession.voters].sort(), staying.map(({ peerId }) => peerId).sort());
    const list = world.leader().group.agreedRoots()?.list as Uint8Array;
    assert.deepEqual(
      decodeRootList(list)
        ?.map(({ peerId }) => peerId)
        .sort(),
      staying.map(({ peerId }) => peerId).sort(),
    );
    await world.stop();
  });

  it('M5 signs what comes after, and ends every ticket of before', async () => {
    const world = await groupOf(3);
    const { client } = world.leader().group;
    const secret = world.random.bytes(16);
    const grant = { role: 'worker', ttlMs: 60_000, uses: 9, secretHash: secretHash(world.crypto, secret) };
    const { id: ticketId } = await world.clock.until(
      client.askLeader<{ id: string }>('members/create-ticket', grant),
    );
    await revoke(world, followers(world)[0] as Node);
    const late = await world.addNode();
    const { peerId, sealingKey } = late.identity;
    const redeeming = world
      .leader()
      .group.client.askLeader('members/redeem', { ticketId, secret, peerId, sealingKey });
    await assert.rejects(world.clock.until(redeeming), /before the mesh replaced its root key/);
    await world.admit(late, 'worker');
    const [succession] = successionsOf(world.leader()) as [Succession];
    const { members } = await world.clock.until(
      world
        .leader()
        .group.client.query<{ members: Member[] }>({ module: 'members', kind: 'list', body: null }),
    );
    const member = members.find((known) => known.peerId === peerId) as Member;
    const verifier = { crypto: world.crypto, meshId: world.meshId, roots: { numberOf: () => 1 } };
    const { rootPublicKey, meshId } = verifyCertificate(verifier, member.certificate);
    assert.deepEqual([rootPublicKey, meshId], [succession.toKey, world.meshId]);
    await world.stop();
  });

  it('is replaced when a standby is revoked, in a group of one voter too', async () => {
    const world = await groupOf(2);
    const [out] = followers(world) as [Node];
    await world.untilTrue('it stands by', () => world.leader().group.status().standbys.includes(out.peerId));
    assert.deepEqual((await revoke(world, out)).root, { number: 1, isDue: false });
    await world.stop();
  });

  it('stays when somebody is revoked who never had it', async () => {
    const world = await groupOf(3);
    const worker = await world.addNode();
    await world.admit(worker, 'worker');
    assert.deepEqual((await revoke(world, worker)).root, { number: 0, isDue: false });
    await world.stop();
  });

  it('is replaced by the next leader when the one that revoked a voter is gone', async () => {
    const world = await groupOf(5);
    const old = world.leader();
    const [out] = followers(world) as [Node];
    void old.group.client.askLeader('members/revoke', { peerId: out.peerId }).catch(() => undefined);
    const isRevoked = () =>
      world.nodes.some((node) => node !== old && node !== out && node.group.agreedRoots()?.isDue === true);
    let isSeen = false;
    for (let spentMs = 0; spentMs < 20_000 && !isSeen; spentMs += 1) {
      await world.clock.advance(1);
      isSeen = isRevoked();
    }
    assert.ok(isSeen, 'the revocation was never agreed without the new key');
    world.isolate(old);
    const rest = world.nodes.filter((node) => node !== old && node !== out);
    await world.untilTrue('the others replaced it', () =>
      rest.every((node) => node.group.agreedRoots()?.successions.length === 1),
    );
    assert.equal(new Set(rest.map(namesOf).map(String)).size, 1);
    await world.heal();
    await world.untilTrue(
      'the old leader learns it',
      () => old.group.agreedRoots()?.successions.length === 1,
    );
    assert.deepEqual(namesOf(old), namesOf(rest[0] as Node));
    await world.stop();
  });

  it('is replaced again and again, each key following upon the one before', async () => {
    const world = await groupOf(5);
    for (let number = 1; number <= 2; number += 1) {
      const voters = world.leader().group.status().voters;
      const out = followers(world).find(({ peerId }) => voters.includes(peerId)) as Node;
      const { root } = await revoke(world, out);
      assert.deepEqual(root, { number, isDue: false });
    }
    const [first, second] = successionsOf(world.leader()) as [Succession, Succession];
    assert.deepEqual(first.toKey, second.fromKey);
    await world.stop();
  });
});
