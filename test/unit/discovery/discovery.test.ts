import assert from 'node:assert/strict';
import type { PeerId } from '../../../src/base/index.ts';
import {
  CandidateBook,
  type KnownPeer,
  KnownPeers,
  type KnownPeersMemory,
  multicastProblem,
  TicketSource,
} from '../../../src/discovery/index.ts';
import { ManualClock } from '../mesh/support.ts';

const peer = (number: number) => `peer-${number}` as PeerId;
const at = (number: number) => `/ip4/192.0.2.${number}/tcp/4100`;

class TestMemory implements KnownPeersMemory {
  saved: readonly KnownPeer[] = [];
  saveCount = 0;
  load = () => this.saved;
  save(peers: readonly KnownPeer[]): void {
    this.saved = peers;
    this.saveCount += 1;
  }
}

describe('candidate book', () => {
  it('merges what all sources say of a peer, the latest first, and knows news from what is known', () => {
    const book = new CandidateBook();
    assert.ok(book.add({ peerId: peer(1), addresses: [at(1), at(2)] }));
    assert.ok(!book.add({ peerId: peer(1), addresses: [at(2)] }));
    assert.ok(book.add({ peerId: peer(1), addresses: [at(3)] }));
    assert.deepEqual(book.addressesOf(peer(1)), [at(3), at(2), at(1)]);
  });

  it('holds no more peers and addresses than its limits, and forgets what was told of longest ago', () => {
    const book = new CandidateBook({ peersLimit: 2, addressesLimit: 2 });
    for (const number of [1, 2]) book.add({ peerId: peer(number), addresses: [at(1), at(2), at(3)] });
    book.add({ peerId: peer(1), addresses: [at(9)] });
    book.add({ peerId: peer(3), addresses: [at(3)] });
    assert.deepEqual(book.peers(), [peer(1), peer(3)]);
    assert.deepEqual(book.addressesOf(peer(1)), [at(9), at(1)]);
  });

  it('leaves out what is no address', () => {
    const book = new CandidateBook();
    assert.ok(!book.add({ peerId: peer(1), addresses: ['nonsense', `/${'x'.repeat(300)}`] }));
    assert.deepEqual(book.addressesOf(peer(1)), []);
  });
});

describe('known peers', () => {
  it('are told again after a restart, who was linked last first', async () => {
    const [memory, clock] = [new TestMemory(), new ManualClock()];
    const before = new KnownPeers({ memory, clock });
    before.remember(peer(1), [at(1)]);
    await clock.advance(1_000);
    before.remember(peer(2), [at(2)]);
    before.remember(peer(2), [at(3)]);
    const after = new KnownPeers({ memory, clock });
    const told: unknown[] = [];
    after.onCandidate(({ peerId, addresses }) => told.push([peerId, addresses]));
    await after.start();
    assert.deepEqual(told, [
      [peer(2), [at(3), at(2)]],
      [peer(1), [at(1)]],
    ]);
  });

  it('are forgotten only for others, never by time alone', async () => {
    const [memory, clock] = [new TestMemory(), new ManualClock()];
    const known = new KnownPeers({ memory, clock }, { peersLimit: 2, addressesLimit: 2 });
    known.remember(peer(1), [at(1), at(2), at(3)]);
    await clock.advance(400 * 86_400_000);
    known.remember(peer(2), [at(2)]);
    assert.deepEqual(
      memory.saved.map(({ peerId }) => peerId),
      [peer(1), peer(2)],
    );
    known.remember(peer(3), [at(3)]);
    assert.deepEqual(
      memory.saved.map(({ peerId }) => peerId),
      [peer(2), peer(3)],
    );
    assert.deepEqual(new KnownPeers({ memory, clock }, { peersLimit: 1 }).stop instanceof Function, true);
  });

  it('are written only when something worth it changed', async () => {
    const [memory, clock] = [new TestMemory(), new ManualClock()];
    const known = new KnownPeers({ memory, clock });
    for (let count = 0; count < 10; count += 1) known.remember(peer(1), [at(1)]);
    assert.equal(memory.saveCount, 1);
    await clock.advance(3_700_000);
    known.remember(peer(1), [at(1)]);
    known.forget(peer(1));
    known.forget(peer(1));
    assert.deepEqual([memory.saveCount, memory.saved], [3, []]);
  });
});

describe('ticket source', () => {
  it('tells the members of the ticket when it starts', async () => {
    const source = new TicketSource([{ peerId: peer(1), addresses: [at(1)] }]);
    const told: unknown[] = [];
    using _subscription = source.onCandidate((candidate) => told.push(candidate));
    await source.start();
    assert.deepEqual(told, [{ peerId: peer(1), addresses: [at(1)], source: 'ticket' }]);
  });
});

describe('multicast', () => {
  const header = 'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT';
  const line = (device: string, destination: string, mask: string, flags = '0003') =>
    `${device}\t${destination}\t00000000\t${flags}\t0\t0\t0\t${mask}\t0\t0\t0`;
  const local = line('eth0', '0002000A', '00FFFFFF');
  const cases: readonly [string, readonly string[], boolean][] = [
    ['a default route', [line('eth0', '00000000', '00000000'), local], true],
    ['a route for 224.0.0.0/4', [line('eth0', '000000E0', '000000F0'), local], true],
    ['only a route to the own network', [local], false],
    ['no route at all', [], false],
    ['a default route that is down', [line('eth0', '00000000', '00000000', '0002')], false],
    ['a default route through loopback', [line('lo', '00000000', '00000000')], false],
    ['a route for something narrower', [line('eth0', 'FB0000E0', 'FFFFFFFF')], false],
  ];
  for (const [what, lines, isFine] of cases) {
    it(`${isFine ? 'works' : 'is reported missing'} with ${what}`, () => {
      const problem = multicastProblem({
        interfaces: ['eth0'],
        routeTable: [header, ...lines, ''].join('\n'),
      });
      assert.equal(problem === undefined, isFine, problem);
    });
  }

  it('is not judged where there is no route table, and is reported missing where there is no network', () => {
    assert.equal(multicastProblem({ interfaces: ['en0'], routeTable: undefined }), undefined);
    assert.match(multicastProblem({ interfaces: [], routeTable: undefined }) ?? '', /no network interface/);
    const six = { interfaces: [], ipv6Only: ['eth0'], routeTable: undefined };
    assert.match(multicastProblem(six) ?? '', /^eth0 has no IPv4 address, and mDNS asks by IPv4 only/);
  });
});
