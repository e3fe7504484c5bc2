import assert from 'node:assert/strict';
import { encodeRevocation, signRevocation } from '../../../src/mesh/index.ts';
import { crypto, failureOf, identityOf, rootSeed, textBytes } from '../../unit/mesh/support.ts';
import { Talk } from './talk.ts';
import { ada, bob, type Node, WORLDS, type World } from './worlds.ts';

const relayIdentity = identityOf(9);
const stranger = identityOf(8);
const known = [ada, bob, relayIdentity];

/** The address of a circuit over a node. */
const over = ({ transport, identity }: Node) => [
  `${transport.addresses()[0]}/p2p/${identity.peerId}/p2p-circuit`,
];
const linkOf = (from: Node, to: Node) =>
  from.transport.links().find(({ peerId }) => peerId === to.identity.peerId);

for (const { name, create } of WORLDS.filter(({ name }) => /loopback|TLS/.test(name)))
  describe(`circuits over a member: ${name}`, () => {
    let world: World;
    let left: Node;
    let right: Node;
    let relay: Node;
    beforeEach(async () => {
      world = create();
      left = await world.node(ada, known);
      right = await world.node(bob, known);
      relay = await world.node(relayIdentity, known);
      relay.transport.reach?.offerCircuits(true);
      for (const end of [left, right])
        await end.transport.dial(relay.identity.peerId, relay.transport.addresses());
    });
    afterEach(async () => {
      await world[Symbol.asyncDispose]();
    });

    it('two members that are linked to it are linked to each other, both say over a relay, and frames pass both ways', async () => {
      await left.transport.dial(bob.peerId, over(relay));
      await world.until(() => right.transport.isLinked(ada.peerId), 'both are linked');
      assert.equal(linkOf(left, right)?.path, 'relay');
      assert.equal(linkOf(right, left)?.path, 'relay');
      assert.equal(linkOf(left, right)?.address, over(relay)[0]);
      assert.equal(linkOf(left, relay)?.path, 'direct');
      const heard: string[] = [];
      for (const node of [left, right])
        node.transport.onFrame((from, frame) => heard.push(`${from} ${Buffer.from(frame)}`));
      left.transport.send(bob.peerId, textBytes('there'), 'control');
      right.transport.send(ada.peerId, textBytes('and back'), 'control');
      await world.until(() => heard.length === 2, 'both frames arrive');
      assert.deepEqual(heard.toSorted(), [`${ada.peerId} there`, `${bob.peerId} and back`].toSorted());
      assert.equal(relay.transport.reach?.carriedCount(), 1);
    });

    it('large frames pass whole and in order, at no more than the relay may hold', async () => {
      await left.transport.dial(bob.peerId, over(relay));
      const sizes = [1, 70_000, 3 * 2 ** 20, 0, 400_000];
      const heard: number[] = [];
      right.transport.onFrame((_from, frame) => heard.push(frame.length));
      for (const bytes of sizes) left.transport.send(bob.peerId, Buffer.alloc(bytes, 7), 'bulk');
      await world.until(() => heard.length === sizes.length, 'all frames arrive');
      assert.deepEqual(heard, sizes);
    });

    it('a newcomer is introduced over a circuit like over any connection', async () => {
      right.transport.admission.answer(async (from, request) => textBytes(`${from} ${Buffer.from(request)}`));
      const answer = await left.transport.admission.ask(bob.peerId, over(relay), textBytes('hello'));
      assert.equal(Buffer.from(answer).toString(), `${ada.peerId} hello`);
    });

    it('Y1 a member that does not know one of the two gives no circuit', async () => {
      const outsider = await world.node(stranger, [...known, stranger]);
      await assert.rejects(outsider.transport.dial(relay.identity.peerId, relay.transport.addresses()));
      const error = await failureOf(outsider.transport.dial(bob.peerId, over(relay)));
      assert.match(String(error), /UNAVAILABLE|cannot reach|no circuit/);
      assert.equal(relay.transport.reach?.carriedCount(), 0);
    });

    it('Y3 a member that does not offer it gives no circuit', async () => {
      relay.transport.reach?.offerCircuits(false);
      const error = await failureOf(left.transport.dial(bob.peerId, over(relay)));
      assert.match(String((error as Error).cause), /not-offered/);
    });

    it('Y1 there is no circuit over a circuit', async () => {
      await left.transport.dial(bob.peerId, over(relay));
      right.transport.reach?.offerCircuits(true);
      const error = await failureOf(left.transport.dial(identityOf(3).peerId, over(right)));
      assert.match(String(error), /DENIED|does not admit|cannot reach/);
    });

    it('a revoked peer loses its circuits at once', async () => {
      await left.transport.dial(bob.peerId, over(relay));
      const revocation = signRevocation({ crypto, rootSeed }, { peerId: ada.peerId, issuedAtMs: 1 });
      relay.gate.revoke(encodeRevocation(revocation));
      await world.until(() => relay.transport.reach?.carriedCount() === 0, 'the relay carries nothing');
      await world.until(() => !right.transport.isLinked(ada.peerId), 'the link is gone');
    });

    it('when the relay dies both ends know it', async () => {
      await left.transport.dial(bob.peerId, over(relay));
      world.kill(relay);
      await world.until(() => !left.transport.isLinked(bob.peerId), 'one end knows');
      await world.until(() => !right.transport.isLinked(ada.peerId), 'the other end knows');
    });

    it('P1 a direct way takes the place of a circuit, and nothing is lost or told on the way', async function () {
      this.timeout(60_000);
      await left.transport.dial(bob.peerId, over(relay));
      await world.until(() => right.transport.isLinked(ada.peerId), 'both are linked');
      const talk = new Talk(world, [left, right]);
      await left.transport.reach?.upgrade(bob.peerId, right.transport.addresses());
      await world.until(() => linkOf(right, left)?.path === 'direct', 'the other end has moved as well');
      assert.equal(linkOf(left, right)?.path, 'direct');
      await world.until(() => relay.transport.reach?.carriedCount() === 0, 'the circuit is given back');
      await talk.endWell();
    });

    it('P2 a circuit does not take the place of a direct channel that is alive', async () => {
      await left.transport.dial(bob.peerId, right.transport.addresses());
      await left.transport.dial(bob.peerId, over(relay));
      assert.equal(linkOf(left, right)?.path, 'direct');
    });

    it('D2 the direct way is taken where there is one, D3 and a circuit over a relay that is not linked is not tried', async () => {
      const elsewhere = `/ip4/127.0.0.1/tcp/1/p2p/${stranger.peerId}/p2p-circuit`;
      assert.match(
        String(await failureOf(left.transport.dial(bob.peerId, [elsewhere]))),
        /cannot reach .*p2p-circuit/,
      );
      await left.transport.dial(bob.peerId, [...over(relay), ...right.transport.addresses()]);
      assert.equal(linkOf(left, right)?.path, 'direct');
    });
  });
