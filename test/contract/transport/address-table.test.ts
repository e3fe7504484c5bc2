import assert from 'node:assert/strict';
import { createDht } from '../../../src/agent/libp2p-dht.ts';
import { type PeerId, silentLogger } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { OsRandom } from '../../../src/base/os-random.ts';
import type { Candidate } from '../../../src/discovery/index.ts';
import { Libp2pDhtSource } from '../../../src/discovery/libp2p-dht-source.ts';
import { Admission, addressRecordName, type Identity, signAddressRecord } from '../../../src/mesh/index.ts';
import type { Libp2pTransport } from '../../../src/mesh/libp2p-transport.ts';
import { crypto, failureOf, identityOf, meshId } from '../../unit/mesh/support.ts';
import { type Node, WORLDS, type World } from './worlds.ts';

interface Member extends Node {
  readonly table: Libp2pDhtSource;
  readonly found: Candidate[];
  /** What it knows of others beside the table. */
  readonly book: Map<PeerId, readonly string[]>;
}

const clock = new OsClock();
const identities = [1, 2, 3, 4, 5, 6].map(identityOf);

describe('the table of addresses, on loopback', () => {
  let world: World;
  const members: Member[] = [];

  async function member(
    identity: Identity,
    { knows = identities, isReachable = true }: { knows?: readonly Identity[]; isReachable?: boolean } = {},
  ): Promise<Member> {
    const node = await world.node(identity, knows);
    const { gate, transport } = node;
    const book = new Map<PeerId, readonly string[]>();
    const redeem = async () => {
      throw new Error('nobody redeems here');
    };
    const admission = new Admission({ transport, gate, clock, crypto, log: silentLogger, redeem });
    const [table] = createDht(
      { clock, random: new OsRandom(), crypto, log: silentLogger },
      {
        ...{ meshId, identity, gate, transport },
        introduce: async (contact, signal) => void (await admission.introduce(contact, { signal })),
        addressesOf: (peerId) => book.get(peerId) ?? [],
        ownAddresses: () => transport.addresses(),
        isReachable: () => isReachable,
      },
      { dht: 'auto', lookEveryMs: 50 },
    );
    assert.ok(table instanceof Libp2pDhtSource);
    const found: Candidate[] = [];
    table.onCandidate((candidate) => found.push(candidate));
    const made = { ...node, table, found, book };
    members.push(made);
    await table.start();
    return made;
  }

  /** Links two members; each knows where the other is, as after the exchange of addresses. */
  async function link(from: Member, to: Member): Promise<void> {
    await from.transport.dial(to.identity.peerId, to.transport.addresses());
    from.book.set(to.identity.peerId, to.transport.addresses());
    to.book.set(from.identity.peerId, from.transport.addresses());
    await world.until(() => to.transport.isLinked(from.identity.peerId), 'both are linked');
  }

  const [one, two, three, four] = identities as [Identity, Identity, Identity, Identity];

  beforeEach(() => {
    world = (WORLDS[1] as (typeof WORLDS)[number]).create();
  });
  afterEach(async () => {
    for (const { table } of members.splice(0)) await table.stop();
    await world[Symbol.asyncDispose]();
  });

  it('a member that nobody told of is found over one that is reached', async () => {
    const [server, left, right] = [
      await member(one),
      await member(two, { isReachable: false }),
      await member(three, { isReachable: false }),
    ];
    await world.until(() => server.table.facts.isServing, 'it answers');
    await link(left, server);
    await link(right, server);
    await world.until(() => left.table.facts.answering === 1, 'it is known to answer');
    await world.until(() => server.table.facts.records >= 2, 'both told it where they are');
    server.book.delete(three.peerId);
    left.table.find(three.peerId);
    await world.until(() => left.found.some(({ peerId }) => peerId === three.peerId), 'it is found');
    const told = left.found.find(({ peerId }) => peerId === three.peerId);
    assert.deepEqual(told, {
      peerId: three.peerId,
      addresses: right.transport.addresses(),
      source: 'dht',
    });
    assert.ok(!left.table.facts.isServing, 'who is not reached does not answer');
  });

  it('a member that knows one that is reached finds all that are', async () => {
    const servers = [await member(one), await member(two), await member(three)];
    const [first, second, third] = servers as [Member, Member, Member];
    await link(first, second);
    await link(second, third);
    const isProvided = ({ table }: Member) => table.facts.records >= 2;
    await world.until(() => servers.every(isProvided), 'they told each other where they are');
    const newcomer = await member(four, { isReachable: false });
    await link(newcomer, first);
    const names = () => new Set(newcomer.found.map(({ peerId }) => peerId));
    await world.until(() => names().has(two.peerId) && names().has(three.peerId), 'the others are found');
    assert.deepEqual(
      newcomer.transport.links().map(({ peerId }) => peerId),
      [one.peerId],
      'the search made no links',
    );
    world.kill(first);
    await world.until(() => newcomer.transport.links().length === 0, 'the one it was linked with is gone');
    newcomer.found.length = 0;
    newcomer.table.find(two.peerId);
    await world.until(() => names().has(two.peerId), 'another one is asked over a short connection');
    assert.deepEqual(newcomer.transport.links(), []);
  });

  it('A3 one that answers is asked by a member it has not heard of, which shows its certificate', async () => {
    const [first, second] = [await member(one), await member(two, { knows: [one, two] })];
    await link(first, second);
    await world.until(() => first.table.facts.records >= 2, 'they know of each other');
    const newcomer = await member(four, { knows: [one, four], isReachable: false });
    await link(newcomer, first);
    await world.until(() => newcomer.table.facts.answering === 2, 'both answer it');
    assert.equal(second.gate.standingOf(four.peerId), 'member');
  });

  it('M2 a member that asks all the time is not answered any more, and nobody else notices', async () => {
    const [server, greedy] = [await member(one), await member(two, { isReachable: false })];
    await world.until(() => server.table.facts.isServing, 'it answers');
    await link(greedy, server);
    const { memberStreams } = greedy.transport as Libp2pTransport;
    const ask = () =>
      memberStreams.open(
        { name: `/aspen/${meshId}/table/1`, requestBytesLimit: 1, answerBytesLimit: 1_000, budget: {} },
        one.peerId,
        [],
        AbortSignal.timeout(10_000),
      );
    for (let count = 0; count < 100; count += 1) {
      const stream = await ask().catch(() => undefined); // turned away in the middle of agreeing on the protocol
      stream?.abort(new Error('asked enough'));
    }
    assert.ok((server.transport as Libp2pTransport).memberStreams.refusedCount >= 30);
    const other = await member(three, { isReachable: false });
    await link(other, server);
    await world.until(() => other.table.facts.answering === 1, 'another one is answered');
    assert.ok(server.transport.isLinked(two.peerId));
  });

  it('M2 a second message on a stream, or one that is too long, ends it', async () => {
    const [server, other] = [await member(one), await member(two, { isReachable: false })];
    await world.until(() => server.table.facts.isServing, 'it answers');
    await link(other, server);
    const { memberStreams } = other.transport as Libp2pTransport;
    const protocol = { requestBytesLimit: 1, answerBytesLimit: 9_000, budget: {} };
    for (const bytes of [Buffer.from([2, 8, 5, 2, 8, 5]), Buffer.from([0xff, 0xff, 0x01])]) {
      const stream = await memberStreams.open(
        { ...protocol, name: `/aspen/${meshId}/table/1` },
        one.peerId,
        [],
        AbortSignal.timeout(5_000),
      );
      const ended = new Promise<void>((resolve) => stream.addEventListener('close', () => resolve()));
      stream.send(bytes);
      await ended;
    }
    assert.equal((server.transport as Libp2pTransport).memberStreams.refusedCount, 2);
  });

  it('M1 whoever is no member is asked for nothing', async () => {
    const [asking, outsider] = [await member(one, { knows: [one] }), await member(two)];
    const { memberStreams } = asking.transport as Libp2pTransport;
    const protocol = { requestBytesLimit: 1, answerBytesLimit: 9, budget: {} };
    const error = await failureOf(
      memberStreams.open(
        { ...protocol, name: `/aspen/${meshId}/table/1` },
        two.peerId,
        outsider.transport.addresses(),
        AbortSignal.timeout(5_000),
      ),
    );
    assert.match(String(error), /no member/);
  });

  describe('what a member puts there', () => {
    const protocol = { name: `/aspen/${meshId}/table/1`, requestBytesLimit: 1, answerBytesLimit: 9_000 };

    /** Puts bytes under a name as the library does, and says whether they were taken. */
    async function put(from: Member, at: Member, name: string, value: Uint8Array): Promise<boolean> {
      const key = Buffer.from(`/aspen/${name}`);
      const record = Buffer.concat([
        field(1, key),
        field(2, value),
        field(5, Buffer.from('2026-01-01T00:00:00.000Z')),
      ]);
      const message = Buffer.concat([Buffer.from([0x08, 0]), field(2, key), field(3, record)]);
      const { memberStreams } = from.transport as Libp2pTransport;
      const stream = await memberStreams.open(
        { ...protocol, budget: {} },
        at.identity.peerId,
        [],
        AbortSignal.timeout(5_000),
      );
      const answered = new Promise<boolean>((resolve) => {
        stream.addEventListener('message', () => resolve(true));
        stream.addEventListener('close', () => resolve(false));
      });
      stream.send(Buffer.concat([lengthOf(message), message]));
      return answered;
    }
    const lengthOf = (bytes: Uint8Array) =>
      bytes.length < 0x80
        ? Buffer.from([bytes.length])
        : Buffer.from([(bytes.length & 0x7f) | 0x80, bytes.length >> 7]);
    const field = (number: number, bytes: Uint8Array) =>
      Buffer.concat([Buffer.from([(number << 3) | 2]), lengthOf(bytes), bytes]);
    const recordOf = (identity: Identity, issuedAtMs: number, mesh = meshId) =>
      signAddressRecord(
        { crypto, meshId: mesh, identity },
        { addresses: ['/ip4/203.0.113.1/tcp/1'], issuedAtMs },
      );
    const named = ({ peerId }: Identity) => addressRecordName({ crypto, meshId }, peerId);

    it('H3, H2 is kept only when the member it is about signed it, lately, and no later one was seen', async () => {
      const server = await member(one, { knows: [one, two, three] });
      const other = await member(two, { isReachable: false });
      await world.until(() => server.table.facts.isServing, 'it answers');
      await link(other, server);
      await world.until(() => server.table.facts.records === 1, 'the other one told it where it is');
      const nowMs = clock.wallMs();
      const cases: readonly (readonly [what: string, name: string, value: Uint8Array, isTaken: boolean])[] = [
        ['of a member that is not here', named(three), recordOf(three, nowMs), true],
        ['the same again', named(three), recordOf(three, nowMs), true],
        ['an earlier one', named(three), recordOf(three, nowMs - 1), false],
        ['under another name', named(two), recordOf(three, nowMs), false],
        [
          'of another mesh',
          named(three),
          recordOf(three, nowMs, 'aaaaaaaaaaaaaaaaaaaaaaaa' as typeof meshId),
          false,
        ],
        ['of yesterday', named(three), recordOf(three, nowMs - 25 * 3_600_000), false],
        ['of tomorrow', named(three), recordOf(three, nowMs + 24 * 3_600_000), false],
        ['of nobody known', named(four), recordOf(four, nowMs), false],
        ['no record at all', named(three), Buffer.from('addresses'), false],
      ];
      for (const [what, name, value, isTaken] of cases)
        assert.equal(await put(other, server, name, value), isTaken, what);
      assert.equal(server.table.facts.records, 2);
    });
  });

  it('M1 a member that the one asked does not know gets nothing', async () => {
    const server = await member(one, { knows: [one] });
    const unknown = await member(two, { knows: [one, two], isReachable: false });
    await world.until(() => server.table.facts.isServing, 'it answers');
    const { memberStreams } = unknown.transport as Libp2pTransport;
    const protocol = {
      name: `/aspen/${meshId}/table/1`,
      requestBytesLimit: 1,
      answerBytesLimit: 9,
      budget: {},
    };
    const addresses = server.transport.addresses();
    let bytes = 0;
    const stream = await memberStreams
      .open(protocol, one.peerId, addresses, AbortSignal.timeout(5_000))
      .catch(() => undefined); // it was reset before it was there
    if (stream?.status === 'open') {
      const ended = new Promise<void>((resolve) => stream.addEventListener('close', () => resolve()));
      stream.addEventListener('message', ({ data }) => {
        bytes += data.byteLength;
      });
      stream.send(Buffer.from([2, 8, 5]));
      await ended;
    }
    assert.equal(bytes, 0);
    assert.equal((server.transport as Libp2pTransport).memberStreams.refusedCount, 1);
  });
});
