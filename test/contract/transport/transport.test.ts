import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import {
  ADMISSION_BYTES_LIMIT,
  encodeRevocation,
  FRAME_BYTES_LIMIT,
  GOSSIP_BYTES_LIMIT,
  signRevocation,
} from '../../../src/mesh/index.ts';
import { certificateFor, crypto, failureOf, rootSeed, textBytes } from '../../unit/mesh/support.ts';
import { ada, bob, eve, everybody, type Node, WORLDS, type World } from './worlds.ts';

async function linkedPair(world: World) {
  const left = await world.node(ada, [ada, bob]);
  const right = await world.node(bob, [ada, bob]);
  await world.settled(left.transport.dial(bob.peerId, right.transport.addresses()));
  await world.until(() => right.transport.isLinked(ada.peerId), 'both ends see the link');
  return { left, right };
}

function framesAt({ transport }: Node): { from: string; frame: Buffer }[] {
  const frames: { from: string; frame: Buffer }[] = [];
  transport.onFrame((from, frame) => frames.push({ from, frame: Buffer.from(frame) }));
  return frames;
}

function eventsAt({ transport }: Node): string[] {
  const events: string[] = [];
  transport.onLink(({ peerId, type }) => events.push(`${type} ${peerId}`));
  return events;
}

const revocationOf = (peerId: typeof ada.peerId) =>
  encodeRevocation(signRevocation({ crypto, rootSeed }, { peerId, issuedAtMs: 1 }));

for (const { name, create } of WORLDS) {
  describe(`transport ${name}`, () => {
    let world: World;
    beforeEach(() => {
      world = create();
    });
    afterEach(() => world[Symbol.asyncDispose]());

    it('brings frames unchanged, with the authenticated sender, both ways', async () => {
      const { left, right } = await linkedPair(world);
      const [atLeft, atRight] = [framesAt(left), framesAt(right)];
      const sizes = [0, 1, 200, 65_536, 65_537, 300_000, FRAME_BYTES_LIMIT];
      for (const [fill, size] of sizes.entries()) {
        assert.ok(left.transport.send(bob.peerId, Buffer.alloc(size, fill), 'bulk'));
      }
      assert.ok(right.transport.send(ada.peerId, textBytes('back'), 'control'));
      await world.until(() => atRight.length === sizes.length && atLeft.length === 1, 'all frames arrive');
      const expected = sizes.map((size, fill) => ({
        from: ada.peerId as string,
        frame: Buffer.alloc(size, fill),
      }));
      assert.deepEqual(atRight, expected);
      assert.equal(atLeft[0]?.frame.toString(), 'back');
    });

    // In memory the two ends are told in different moments.
    const itOnWires = name === 'in memory' ? () => undefined : it;
    itOnWires('brings what either end says in the moment in which the link opens, after that', async () => {
      const left = await world.node(ada, [ada, bob]);
      const right = await world.node(bob, [ada, bob]);
      const heard: string[] = [];
      for (const [{ transport }, own, other] of [
        [left, ada, bob],
        [right, bob, ada],
      ] as const) {
        const who = own === ada ? 'ada' : 'bob';
        transport.onLink(({ type }) => {
          heard.push(`${who}: ${type}`);
          for (const word of ['one', 'two']) transport.send(other.peerId, textBytes(word), 'control');
        });
        transport.onFrame((_from, frame) => heard.push(`${who}: ${Buffer.from(frame)}`));
      }
      await world.settled(left.transport.dial(bob.peerId, right.transport.addresses()));
      await world.until(() => heard.length === 6, 'all that was said is heard');
      for (const who of ['ada', 'bob']) {
        const own = heard.filter((line) => line.startsWith(who));
        assert.deepEqual(own, [`${who}: opened`, `${who}: one`, `${who}: two`]);
      }
    });

    it('T1 never changes a frame that the sender goes on using', async () => {
      const { left, right } = await linkedPair(world);
      const atRight = framesAt(right);
      left.transport.send(bob.peerId, textBytes('one'), 'control');
      await world.until(() => atRight.length === 1, 'it arrives');
      atRight[0]?.frame.fill(0);
      left.transport.send(bob.peerId, textBytes('two'), 'control');
      await world.until(() => atRight.length === 2, 'it arrives');
      assert.equal(atRight[1]?.frame.toString(), 'two');
    });

    it('lets an urgent frame pass many that are not', async () => {
      const { left, right } = await linkedPair(world);
      const atRight = framesAt(right);
      for (let count = 0; count < 8; count += 1)
        left.transport.send(bob.peerId, Buffer.alloc(2 ** 20, 1), 'bulk');
      left.transport.send(bob.peerId, textBytes('urgent'), 'raft');
      await world.until(() => atRight.length === 9, 'all frames arrive');
      const place = atRight.findIndex(({ frame }) => frame.length === 6);
      if (name !== 'in memory') assert.ok(place <= 2, `the urgent frame came as number ${place}`);
    });

    it('T3 refuses what does not fit, and takes more when there is room again', async () => {
      const { left, right } = await linkedPair(world);
      const atRight = framesAt(right);
      assert.ok(!left.transport.send(bob.peerId, Buffer.alloc(FRAME_BYTES_LIMIT + 1), 'bulk'));
      let taken = 0;
      while (taken < 100 && left.transport.send(bob.peerId, Buffer.alloc(2 ** 20), 'bulk')) taken += 1;
      assert.ok(taken >= 4 && taken < 100, `${taken} MiB were taken`);
      await world.until(() => atRight.length === taken, 'all that was taken arrives');
      assert.ok(left.transport.send(bob.peerId, Buffer.alloc(10), 'bulk'));
    });

    it('sends nothing where no channel is open', async () => {
      const left = await world.node(ada, [ada, bob]);
      assert.ok(!left.transport.send(bob.peerId, textBytes('x'), 'raft'));
      const nobody = await world.settled(
        failureOf(left.transport.dial(bob.peerId, ['/ip4/127.0.0.1/tcp/9'])),
      );
      assert.ok(nobody instanceof AspenError);
      assert.deepEqual([nobody.code, nobody.outcome], ['UNAVAILABLE', 'not-applied']);
      const nowhere = await world.settled(failureOf(left.transport.dial(bob.peerId, [])));
      assert.equal((nowhere as AspenError).code, 'UNAVAILABLE');
    });

    it('does not take another peer at the address for the one it wants', async () => {
      const left = await world.node(ada, [ada, bob, eve]);
      const right = await world.node(bob, [ada, bob, eve]);
      const failure = await world.settled(
        failureOf(left.transport.dial(eve.peerId, right.transport.addresses())),
      );
      assert.equal((failure as AspenError).code, 'UNAVAILABLE');
      assert.deepEqual([left.transport.links(), right.transport.links()], [[], []]);
    });

    it('keeps one link when both ends dial at once', async () => {
      for (let round = 0; round < 3; round += 1) {
        const left = await world.node(ada, [ada, bob]);
        const right = await world.node(bob, [ada, bob]);
        await world.settled(
          Promise.all([
            left.transport.dial(bob.peerId, right.transport.addresses()),
            right.transport.dial(ada.peerId, left.transport.addresses()),
          ]),
        );
        const frames = framesAt(right);
        await world.until(
          () => left.transport.send(bob.peerId, textBytes('x'), 'raft') && frames.length > 0,
          'frames arrive over the link that is left',
        );
        assert.deepEqual([left.transport.links().length, right.transport.links().length], [1, 1]);
        const events = eventsAt(left);
        if (round === 2) await world.pass(4_000); // what is left over of the dials is cleared away meanwhile
        assert.deepEqual(events, []);
        await left.transport.stop();
        await right.transport.stop();
      }
    });

    it('T2 opens no channel to a stranger, whoever dials', async () => {
      const left = await world.node(ada, [ada, bob]);
      const strict = await world.node(bob, [bob]);
      const theyDoNotKnowUs = await world.settled(
        failureOf(left.transport.dial(bob.peerId, strict.transport.addresses())),
      );
      assert.equal((theyDoNotKnowUs as AspenError).code, 'DENIED');
      const weDoNotKnowThem = await world.settled(
        failureOf(strict.transport.dial(ada.peerId, left.transport.addresses())),
      );
      assert.equal((weDoNotKnowThem as AspenError).code, 'DENIED');
      assert.deepEqual([left.transport.links(), strict.transport.links()], [[], []]);
      strict.gate.admit(certificateFor(ada));
      await world.settled(left.transport.dial(bob.peerId, strict.transport.addresses()));
    });

    it('T2 answers the admission exchange of a stranger, and brings the answer back', async () => {
      const member = await world.node(bob, [bob]);
      const stranger = await world.node(eve, []);
      member.transport.admission.answer(async (from, request) =>
        textBytes(`${from} said ${Buffer.from(request)}`),
      );
      const ask = () =>
        stranger.transport.admission.ask(bob.peerId, member.transport.addresses(), textBytes('hi'));
      for (let count = 0; count < 3; count += 1) {
        assert.equal(Buffer.from(await world.settled(ask())).toString(), `${eve.peerId} said hi`);
      }
      const long = new Uint8Array(ADMISSION_BYTES_LIMIT + 1);
      const failure = await world.settled(
        failureOf(stranger.transport.admission.ask(bob.peerId, member.transport.addresses(), long)),
      );
      assert.ok(failure instanceof AspenError);
    });

    it('T2 gives a refused peer nothing, not even admission, and ends the link of one that is revoked', async () => {
      const { left, right } = await linkedPair(world);
      right.transport.admission.answer(async () => textBytes('welcome'));
      const events = eventsAt(left);
      right.gate.revoke(revocationOf(ada.peerId));
      await world.until(() => events.includes(`closed ${bob.peerId}`), 'the link ends');
      const dialed = await world.settled(
        failureOf(left.transport.dial(bob.peerId, right.transport.addresses())),
      );
      const asked = await world.settled(
        failureOf(left.transport.admission.ask(bob.peerId, right.transport.addresses(), textBytes('please'))),
      );
      for (const failure of [dialed, asked]) {
        assert.ok(
          failure instanceof AspenError && ['DENIED', 'UNAVAILABLE'].includes(failure.code),
          String(failure),
        );
      }
      assert.deepEqual(right.transport.links(), []);
    });

    it('T2 dismisses a refused peer in the place of its admission, and opens no channel to it', async () => {
      const { left, right } = await linkedPair(world);
      const events = eventsAt(left);
      right.transport.admission.answer(
        async () => textBytes('welcome'),
        async (from, request) => textBytes(`${from} said ${Buffer.from(request)} in vain`),
      );
      right.gate.revoke(revocationOf(ada.peerId));
      await world.until(() => events.includes(`closed ${bob.peerId}`), 'the link ends');
      const ask = () =>
        left.transport.admission.ask(bob.peerId, right.transport.addresses(), textBytes('please'));
      for (let count = 0; count < 2; count += 1) {
        const answer = await world.settled(ask());
        assert.equal(Buffer.from(answer).toString(), `${ada.peerId} said please in vain`);
      }
      const dialed = await world.settled(
        failureOf(left.transport.dial(bob.peerId, right.transport.addresses())),
      );
      assert.ok(dialed instanceof AspenError && dialed.code === 'DENIED', String(dialed));
      const back = await world.settled(
        failureOf(right.transport.admission.ask(ada.peerId, left.transport.addresses(), textBytes('you'))),
      );
      assert.ok(back instanceof AspenError && back.code === 'DENIED', String(back));
      assert.deepEqual(right.transport.links(), []);
    });

    it('hangs up, tells both ends, and dials again', async () => {
      const { left, right } = await linkedPair(world);
      const [atLeft, atRight] = [eventsAt(left), eventsAt(right)];
      left.transport.hangUp(bob.peerId, 'test');
      await world.until(() => atRight.length === 1 && atLeft.length === 1, 'both ends know');
      assert.ok(!left.transport.isLinked(bob.peerId));
      await world.settled(right.transport.dial(ada.peerId, left.transport.addresses()));
      await world.until(() => left.transport.isLinked(bob.peerId), 'the link is there again');
      assert.deepEqual(atLeft, [`closed ${bob.peerId}`, `opened ${bob.peerId}`]);
      assert.deepEqual(atRight, [`closed ${ada.peerId}`, `opened ${ada.peerId}`]);
    });

    it('notices a peer that is gone, and measures one that is there', async () => {
      const { left, right } = await linkedPair(world);
      await world.until(() => left.transport.links()[0]?.rttMs !== undefined, 'a round trip was measured');
      const [link] = left.transport.links();
      assert.ok((link?.rttMs ?? -1) >= 0);
      assert.equal(link?.path, 'direct');
      const events = eventsAt(left);
      world.kill(right);
      await world.until(() => events.includes(`closed ${bob.peerId}`), 'the peer is taken for dead');
    });

    it('brings gossip to all members, each message once, also over neighbours', async () => {
      const nodes: Node[] = [];
      for (const identity of everybody) nodes.push(await world.node(identity, everybody));
      const heard = nodes.map(() => [] as string[]);
      for (const [at, { transport }] of nodes.entries()) {
        transport.gossip.subscribe('news', (message) => {
          heard[at]?.push(Buffer.from(message).toString());
          return true;
        });
        const next = nodes[(at + 1) % nodes.length] as Node;
        await world.settled(transport.dial(next.identity.peerId, next.transport.addresses()));
      }
      await world.pass(name === 'in memory' ? 10 : 2_500); // gossipsub grafts its overlay at its next heartbeat
      const [first] = nodes as [Node];
      first.transport.gossip.publish('news', textBytes('one'));
      first.transport.gossip.publish('other', textBytes('not for you'));
      await world.until(() => heard.slice(1).every((messages) => messages.length > 0), 'everybody heard it');
      await world.pass(100);
      assert.deepEqual(heard, [[], ['one'], ['one'], ['one'], ['one']]);
      assert.throws(
        () => first.transport.gossip.publish('news', new Uint8Array(GOSSIP_BYTES_LIMIT + 1)),
        AspenError,
      );
    });

    it('does not pass on gossip that a subscriber calls bad', async () => {
      const nodes: Node[] = [];
      for (const identity of everybody.slice(0, 3)) nodes.push(await world.node(identity, everybody));
      const [first, middle, last] = nodes as [Node, Node, Node];
      const heard: string[] = [];
      first.transport.gossip.subscribe('news', () => true);
      middle.transport.gossip.subscribe('news', (message) => Buffer.from(message).toString() === 'good');
      last.transport.gossip.subscribe('news', (message) => heard.push(Buffer.from(message).toString()) > 0);
      await world.settled(first.transport.dial(middle.identity.peerId, middle.transport.addresses()));
      await world.settled(middle.transport.dial(last.identity.peerId, last.transport.addresses()));
      await world.pass(name === 'in memory' ? 10 : 2_500);
      first.transport.gossip.publish('news', textBytes('bad'));
      first.transport.gossip.publish('news', textBytes('good'));
      await world.until(() => heard.length > 0, 'the good one arrives');
      await world.pass(100);
      assert.deepEqual(heard, ['good']);
    });
  });
}
