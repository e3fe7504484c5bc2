import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import { decodeAdmissionAnswer, decodeAdmissionRequest } from '../../../src/mesh/admission-messages.ts';
import { encodeRevocation, type Mesh, type Redemption, signRevocation } from '../../../src/mesh/index.ts';
import { asUnreachable } from '../../../src/mesh/libp2p-transport-errors.ts';
import { contactOf, Village } from './nodes.ts';
import {
  certificateFor,
  crypto,
  failureOf,
  identityOf,
  otherRootSeed,
  rootSeed,
  textBytes,
  ticketFor,
} from './support.ts';

const [ada, bob, eve] = [identityOf(1), identityOf(2), identityOf(3)] as const;

/** A group that issues one certificate per joiner, and counts how often it was asked. */
function group(options: { readonly failWith?: AspenError } = {}) {
  const asked: Redemption[] = [];
  const redeem = async (redemption: Redemption) => {
    asked.push(redemption);
    if (options.failWith !== undefined) throw options.failWith;
    const { ticket } = ticketFor([]);
    if (!crypto.equal(redemption.secret, ticket.secret)) throw new AspenError('DENIED', 'wrong secret');
    return certificateFor(redemption);
  };
  return { asked, redeem };
}

const codeOf = (error: unknown) => (error as AspenError).code;

describe('admission', () => {
  let village: Village;
  beforeEach(() => {
    village = new Village();
  });
  afterEach(() => village[Symbol.asyncDispose]());

  const join = (joiner: Mesh, ...members: { peerId: PeerId; addresses: readonly string[] }[]) =>
    joiner.admission.join(ticketFor(members).ticket, { sealingKey: eve.sealingKey });

  it('gives a joiner its certificate, and both gates admit each other', async () => {
    const { asked, redeem } = group();
    const member = await village.node(ada, { redeem });
    const joiner = await village.node(eve, { isMember: false });
    const issued = await village.settled(join(joiner, contactOf(member)));
    assert.ok(crypto.equal(issued, certificateFor(eve)));
    assert.deepEqual([asked[0]?.peerId, asked.length], [eve.peerId, 1]);
    for (const [gate, peers] of [
      [member.gate, [ada, eve]],
      [joiner.gate, [ada, eve]],
    ] as const) {
      for (const { peerId } of peers) assert.equal(gate.standingOf(peerId), 'member');
    }
    await village.settled(joiner.transport.dial(ada.peerId, member.transport.addresses()));
  });

  it('A1 tells the secret to nobody who has not shown a certificate of the mesh, and goes on to who has', async () => {
    const liar = group();
    const impostor = await village.node(bob, { isMember: false, redeem: liar.redeem });
    const heard: string[] = [];
    impostor.admission[Symbol.dispose]();
    impostor.transport.admission.answer(async (_from, request) => {
      heard.push(Buffer.from(request).toString('latin1'));
      return request;
    });
    const { redeem } = group();
    const member = await village.node(ada, { redeem });
    const joiner = await village.node(eve, { isMember: false });
    await village.settled(join(joiner, contactOf(impostor), contactOf(member)));
    const secret = Buffer.from(ticketFor([]).ticket.secret).toString('latin1');
    assert.equal(heard.length, 1);
    assert.ok(!heard[0]?.includes(secret));
  });

  it('A1 takes a certificate of another mesh, or of another peer, for none', async () => {
    const joiner = await village.node(eve, { isMember: false });
    const impostor = await village.node(bob, { isMember: false });
    impostor.admission[Symbol.dispose]();
    const shown = [certificateFor(bob, { seed: otherRootSeed }), certificateFor(ada)];
    for (const certificate of shown) {
      const { encodeAdmissionAnswer } = await import('../../../src/mesh/admission-messages.ts');
      using _answering = impostor.transport.admission.answer(async () =>
        encodeAdmissionAnswer({ type: 'hello', certificate }),
      );
      assert.equal(codeOf(await village.settled(failureOf(join(joiner, contactOf(impostor))))), 'DENIED');
    }
    assert.equal(joiner.gate.standingOf(bob.peerId), 'stranger');
  });

  it('passes NO_QUORUM on, so that joining can be tried again later', async () => {
    const failing = group({ failWith: new AspenError('NO_QUORUM', 'nobody leads') });
    const member = await village.node(ada, { redeem: failing.redeem });
    const joiner = await village.node(eve, { isMember: false });
    const gone = { peerId: bob.peerId, addresses: ['/memory/gone'] };
    const error = (await village.settled(failureOf(join(joiner, contactOf(member), gone)))) as AspenError;
    assert.deepEqual([error.code, error.retry, error.outcome], ['NO_QUORUM', 'later', 'not-applied']);
    assert.equal(joiner.gate.standingOf(eve.peerId), 'stranger');
  });

  it('asks nobody else when a member says no for the mesh', async () => {
    const denying = group({ failWith: new AspenError('DENIED', 'the ticket has expired') });
    const next = group();
    const first = await village.node(ada, { redeem: denying.redeem });
    const second = await village.node(bob, { redeem: next.redeem });
    const joiner = await village.node(eve, { isMember: false });
    const error = (await village.settled(
      failureOf(join(joiner, contactOf(first), contactOf(second))),
    )) as AspenError;
    assert.match(error.message, /the ticket has expired/);
    assert.deepEqual([denying.asked.length, next.asked.length], [1, 0]);
  });

  it('goes on to the next member when one cannot be reached', async () => {
    const { redeem } = group();
    const member = await village.node(ada, { redeem });
    const joiner = await village.node(eve, { isMember: false });
    await village.settled(
      join(joiner, { peerId: bob.peerId, addresses: ['/memory/gone'] }, contactOf(member)),
    );
    assert.equal(joiner.gate.standingOf(eve.peerId), 'member');
  });

  it('tells of the member that hung up rather than of those that were not reached', async () => {
    const joiner = await village.node(eve, { isMember: false });
    const there = { peerId: bob.peerId, addresses: ['/memory/there'] };
    const gone = { peerId: ada.peerId, addresses: ['/memory/gone'] };
    const { admission } = joiner.transport;
    const ask = admission.ask.bind(admission);
    admission.ask = async (peerId, ...rest) => {
      if (peerId === bob.peerId)
        throw asUnreachable(bob.peerId, Object.assign(new Error('EOF'), { name: 'UnexpectedEOFError' }));
      return await ask(peerId, ...rest);
    };
    for (const members of [
      [there, gone],
      [gone, there],
    ]) {
      const error = (await village.settled(failureOf(join(joiner, ...members)))) as AspenError;
      assert.equal(error.code, 'UNAVAILABLE');
      assert.match(error.message, /hung up before it answered: .+ revoked/);
    }
  });

  it('A3 makes two members known to each other without any group', async () => {
    const left = await village.node(ada);
    const right = await village.node(bob);
    await village.settled(left.admission.introduce(contactOf(right)));
    assert.equal(left.gate.standingOf(bob.peerId), 'member');
    assert.equal(right.gate.standingOf(ada.peerId), 'member');
  });

  it('A2 admits nobody by the certificate of another', async () => {
    const member = await village.node(bob);
    const thief = await village.node(eve, { isMember: false });
    thief.gate.admit(certificateFor(ada));
    const { encodeAdmissionRequest } = await import('../../../src/mesh/admission-messages.ts');
    const stolen = encodeAdmissionRequest({
      type: 'certificate',
      meshId: member.gate.meshId as string,
      certificate: certificateFor(ada),
    });
    const { peerId, addresses } = contactOf(member);
    const answer = decodeAdmissionAnswer(
      await village.settled(thief.transport.admission.ask(peerId, addresses, stolen)),
    );
    assert.equal(answer.type, 'refused');
    assert.deepEqual(
      [ada, eve].map((who) => member.gate.standingOf(who.peerId)),
      ['stranger', 'stranger'],
    );
  });

  it('refuses a revoked member that shows its old certificate', async () => {
    const member = await village.node(bob);
    const revoked = await village.node(ada);
    member.gate.revoke(
      encodeRevocation(signRevocation({ crypto, rootSeed }, { peerId: ada.peerId, issuedAtMs: 1 })),
    );
    const error = await village.settled(failureOf(revoked.admission.introduce(contactOf(member))));
    assert.equal(codeOf(error), 'DENIED');
  });

  it('A4 counts what is malformed, and answers it with DENIED', async () => {
    const member = await village.node(ada);
    const stranger = await village.node(eve, { isMember: false });
    const { peerId, addresses } = contactOf(member);
    const answer = await village.settled(
      stranger.transport.admission.ask(peerId, addresses, textBytes('hello?')),
    );
    const refused = decodeAdmissionAnswer(answer);
    assert.equal(refused.type === 'refused' && refused.error.code, 'DENIED');
    assert.equal(member.admission.malformedCount, 1);
  });

  it('A4 hears one peer only so often, and others all the same', async () => {
    const member = await village.node(ada);
    const pest = await village.node(eve);
    const other = await village.node(bob);
    const codes: string[] = [];
    for (let count = 0; count < 25; count += 1) {
      const introduced = pest.admission.introduce(contactOf(member)).then(() => 'ok', codeOf);
      codes.push(await village.settled(introduced));
    }
    assert.equal(codes.filter((code) => code === 'ok').length, 20);
    assert.equal(codes.at(-1), 'RESOURCE_EXHAUSTED');
    await village.settled(other.admission.introduce(contactOf(member)));
    await village.clock.advance(10_000);
    await village.settled(pest.admission.introduce(contactOf(member)));
  });

  it('A4 fails only with DENIED, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5_000 }), (bytes) => {
        for (const decode of [decodeAdmissionRequest, decodeAdmissionAnswer]) {
          assert.throws(() => decode(bytes), { name: 'AspenError', code: 'DENIED' });
        }
      }),
    );
  });
});
