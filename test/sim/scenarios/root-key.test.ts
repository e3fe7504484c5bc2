import assert from 'node:assert/strict';
import {
  encodeCertificate,
  encodeRevocation,
  type MembershipGate,
  signCertificate,
  signRevocation,
} from '../../../src/mesh/index.ts';
import { textKey } from '../../../src/storage/index.ts';
import { scenario } from '../world/scenario.ts';
import type { SimNode } from '../world/sim-node.ts';
import type { StoryWorld } from '../world/story-world.ts';

const WAIT_MS = 120_000;

describe('the root key of the simulated mesh', () => {
  scenario(
    'is replaced when a voter is revoked: what the old one signs counts nowhere, also at a member that was off meanwhile',
    async (world) => {
      const old = rootSeedOf(world);
      const [thief, away] = thiefAndAway(world);
      away.crash();
      const { ticket } = await world.call(world.leader().name, 'mesh.ticket', { uses: 1 });
      const asked = world.leader().name;
      const { root } = await world.call(asked, 'node.revoke', { peerId: thief.peerId, reason: 'stolen' });
      assert.deepEqual(root, { number: 1, isDue: false });
      world.expectMember(thief.name, false);
      const present = world.nodes.filter((node) => node.isReady && node !== thief);
      await until(world, 'all who are there know', () => present.every(hasKey(1)));
      for (const node of present) refusesForgeries(world, gateOf(node), old);

      const late = world.node('n6');
      late.start(ticket);
      await until(world, 'the ticket of before is refused', () => late.refusal !== undefined);
      assert.match(late.refusal?.message ?? '', /before the mesh replaced its root key/);
      late.start((await world.call(asked, 'mesh.ticket', { uses: 1 })).ticket);
      await until(world, 'the newcomer is in', () => late.isReady);
      world.expectMember(late.name, true);
      await until(world, 'the newcomer has the list', () => hasKey(1)(late));
      refusesForgeries(world, gateOf(late), old);

      await world.advance(60_000);
      away.start();
      await until(world, 'who was away knows', () => away.isReady && hasKey(1)(away));
      refusesForgeries(world, gateOf(away), old);
      const everybody = world.nodes.filter((node) => node !== thief);
      await until(world, 'all take each other for members', () =>
        everybody.every((node) =>
          everybody.every(({ peerId }) => gateOf(node).standingOf(peerId) === 'member'),
        ),
      );
      assert.ok(everybody.every((node) => gateOf(node).standingOf(thief.peerId) === 'refused'));

      away.crash();
      away.start();
      await until(world, 'it is back', () => away.isReady);
      assert.ok(hasKey(1)(away), 'what it learnt outlives the process');
      await world.settle();
    },
    { nodeCount: 6, memberCount: 5 },
  );

  scenario(
    'is replaced by whoever leads next when the leader dies at once',
    async (world) => {
      const leader = world.leader();
      const [thief] = thiefAndAway(world);
      const asked = world.other(leader, thief).name;
      world.expectMember(thief.name, false);
      const revoking = world.call(asked, 'node.revoke', { peerId: thief.peerId });
      const [answer] = await Promise.allSettled([revoking, world.pause(20).then(() => leader.crash())]);
      if (answer.status === 'rejected') await world.call(asked, 'node.revoke', { peerId: thief.peerId });
      leader.start();
      const rest = world.nodes.filter((node) => node !== thief);
      await until(world, 'all know', () => rest.every((node) => node.isReady && hasKey(1)(node)));
      assert.equal(new Set(rest.map((node) => Buffer.from(keyOf(node)).toString('hex'))).size, 1);
      await world.settle();
    },
    { nodeCount: 5 },
  );

  scenario(
    'is replaced twice while one is away, and that one follows both',
    async (world) => {
      const [first, away] = thiefAndAway(world);
      away.crash();
      const asked = world.leader().name;
      world.expectMember(first.name, false);
      await world.call(asked, 'node.revoke', { peerId: first.peerId });
      const staying = world.nodes.filter((node) => node !== first && node !== away);
      await until(world, 'all know', () => staying.every(hasKey(1)));
      await until(
        world,
        'three vote again',
        () => world.leader().daemon.node.group.status().voters.length === 3,
      );
      await world.advance(10_000);
      const { voters } = world.leader().daemon.node.group.status();
      const named = gateOf(world.leader()).roots.latest?.voters ?? [];
      assert.equal(named.length, 3, 'a standby is a witness beside the two voters that were left');
      const second = staying.find(
        ({ peerId }) => voters.includes(peerId) && peerId !== world.leader().peerId && named.includes(peerId),
      );
      assert.ok(second !== undefined, 'a voter that the first statement names');
      world.expectMember(second.name, false);
      await world.call(world.leader().name, 'node.revoke', { peerId: second.peerId });
      const rest = staying.filter((node) => node !== second);
      await until(world, 'all know the second', () => rest.every(hasKey(2)));
      away.start();
      await until(world, 'who was away knows both', () => away.isReady && hasKey(2)(away));
      await world.settle();
    },
    { nodeCount: 6 },
  );
});

async function until(world: StoryWorld, what: string, isTrue: () => boolean): Promise<void> {
  await world.until(isTrue, { limitMs: WAIT_MS, what });
}

function gateOf(node: SimNode): MembershipGate {
  return node.daemon.node.gate;
}

function hasKey(number: number): (node: SimNode) => boolean {
  return (node) => gateOf(node).roots.number === number && !gateOf(node).roots.lacksList;
}

function keyOf(node: SimNode): Uint8Array {
  return gateOf(node).roots.latest?.toKey ?? new Uint8Array(0);
}

/** What the thief has: read from the leader's part of the agreed state with the leader's own key, as from a stolen disk. */
function rootSeedOf(world: StoryWorld): Uint8Array {
  const { node, platform } = world.leader().daemon;
  const box = node.group.leadership?.read(({ module }) =>
    module('members').table<Uint8Array>('custody').get(textKey(node.self)),
  );
  const seed = box && platform.crypto.open(platform.directory.seed, box);
  assert.ok(seed !== undefined);
  return seed;
}

/** A voter that does not lead, and a member that does not vote. */
function thiefAndAway(world: StoryWorld): [SimNode, SimNode] {
  const { voters, leader } = world.leader().daemon.node.group.status();
  const members = world.nodes.filter(({ isReady }) => isReady);
  const thief = members.find(({ peerId }) => voters.includes(peerId) && peerId !== leader);
  const away = members.find(({ peerId }) => !voters.includes(peerId));
  assert.ok(thief !== undefined && away !== undefined);
  return [thief, away];
}

/** Certificates and revocations that the thief signs with the old key. */
function refusesForgeries(world: StoryWorld, gate: MembershipGate, rootSeed: Uint8Array): void {
  const { crypto } = world.leader().daemon.platform;
  const { node } = world.leader().daemon;
  const own = gate.certificateOf(node.self);
  assert.ok(own !== undefined);
  const { sealingKey, role, ticketId } = own;
  const facts = { peerId: node.self, role, sealingKey, ticketId, issuedAtMs: own.issuedAtMs + 1 };
  const certificate = encodeCertificate(signCertificate({ crypto, rootSeed }, facts));
  assert.throws(() => gate.admit(certificate), /root key that was replaced/);
  const revocation = encodeRevocation(
    signRevocation({ crypto, rootSeed }, { peerId: node.self, issuedAtMs: own.issuedAtMs + 1 }),
  );
  assert.throws(() => gate.revoke(revocation), /replaced root key/);
}
