import assert from 'node:assert/strict';
import { AspenError, type PeerId, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import type { Candidate } from '../../../src/discovery/index.ts';
import { circuitAddress } from '../../../src/mesh/circuit-address.ts';
import type { Puncher } from '../../../src/mesh/puncher.ts';
import { type KnownMember, Reach, type ReachOptions } from '../../../src/mesh/reach.ts';
import type { PeerLink, Transport } from '../../../src/mesh/transport.ts';
import { identityOf, ManualClock } from './support.ts';

const [self, bob, ...relays] = [1, 2, 3, 4, 5, 6, 7].map((number) => identityOf(number).peerId) as [
  PeerId,
  PeerId,
  ...PeerId[],
];
const placeOf = (peerId: PeerId) => `/ip4/203.0.113.${relays.indexOf(peerId) + 1}/tcp/4100`;
const circuitOver = (relay: PeerId) => circuitAddress({ relay, relayAddress: placeOf(relay) });

/** A node and what it would ask of the world, written down. */
class Place {
  readonly clock = new ManualClock();
  readonly links = new Map<PeerId, PeerLink['path']>();
  readonly away = new Set<PeerId>();
  readonly considered: Candidate[] = [];
  readonly connects: PeerId[] = [];
  readonly upgrades: string[] = [];
  readonly punches: PeerId[] = [];
  /** In their order. */
  readonly holes: ('tcp' | 'quic')[] = [];
  isQuicThrough = false;
  own: readonly string[] = ['/ip4/192.168.1.2/tcp/4100'];
  wasReached = false;
  offered: boolean | undefined;
  members: readonly KnownMember[] = relays.map((peerId) => ({
    peerId,
    addresses: [placeOf(peerId)],
    isRelay: true,
  }));
  /** Whether an attempt at a direct way works. */
  hasDirectWay = false;
  readonly reach: Reach;

  constructor(options: ReachOptions = {}) {
    const transport = {
      self,
      addresses: () => this.own,
      isLinked: (peerId: PeerId) => this.links.has(peerId),
      links: () =>
        [...this.links].map(([peerId, path]) => ({ peerId, path, address: '/', rttMs: 1, since: 0 })),
      reach: {
        offerCircuits: (isOffered: boolean) => {
          this.offered = isOffered;
        },
        wasReached: () => this.wasReached,
        upgrade: async (peerId: PeerId, addresses: readonly string[]) => {
          this.upgrades.push(`${this.clock.monotonicMs()} ${addresses.join()}`);
          if (!this.hasDirectWay) throw new AspenError('UNAVAILABLE', 'no way');
          this.links.set(peerId, 'direct');
        },
      },
    } as unknown as Transport;
    const connector = {
      consider: (candidate: Candidate) => this.considered.push(candidate),
      connect: async (peerId: PeerId) => {
        this.connects.push(peerId);
        if (this.away.has(peerId)) throw new AspenError('UNAVAILABLE', 'away');
        this.links.set(peerId, 'direct');
      },
    };
    const puncher = {
      begins: () => true,
      punch: async (peerId: PeerId) => {
        this.punches.push(peerId);
        this.holes.push('tcp');
        throw new AspenError('UNAVAILABLE', 'no hole');
      },
    } as unknown as Puncher;
    this.reach = new Reach(
      {
        transport,
        connector,
        puncher,
        udpPuncher: {
          punch: async (peerId: PeerId) => {
            this.holes.push('quic');
            if (!this.isQuicThrough) throw new AspenError('UNAVAILABLE', 'no hole by QUIC');
            this.links.set(peerId, 'direct');
          },
        },
        members: () => this.members,
        clock: this.clock,
        random: new SeededRandom(1),
        log: silentLogger,
      },
      options,
    );
  }

  circuits(): readonly string[] {
    return this.reach.addresses().filter((address) => address.includes('p2p-circuit'));
  }
}

describe('reach', () => {
  it('behind a router it links three relays and tells circuits over each, and carries none', async () => {
    const place = new Place();
    await place.reach.start();
    await place.clock.advance(3_000);
    assert.equal(place.links.size, 3);
    assert.deepEqual(
      place.circuits().toSorted(),
      [...place.links.keys()].map((relay) => circuitOver(relay)).toSorted(),
    );
    assert.deepEqual([place.reach.reachability, place.offered], ['private', false]);
    await place.reach.stop();
  });

  it('E3 links the ones that are there when the others are away', async () => {
    const place = new Place();
    for (const relay of relays.slice(0, -1)) place.away.add(relay);
    await place.reach.start();
    await place.clock.advance(60_000);
    assert.deepEqual([...place.links.keys()], relays.slice(-1));
    await place.reach.stop();
  });

  it('takes another relay in place of one that went, and tells of it once', async () => {
    const place = new Place();
    await place.reach.start();
    await place.clock.advance(3_000);
    let toldCount = 0;
    place.reach.onAddresses(() => {
      toldCount += 1;
    });
    await place.clock.advance(30_000);
    assert.equal(toldCount, 0);
    const [gone] = place.links.keys() as Iterable<PeerId>;
    place.links.delete(gone as PeerId);
    place.away.add(gone as PeerId);
    await place.clock.advance(30_000);
    assert.equal(place.circuits().length, 3);
    assert.ok(!place.circuits().includes(circuitOver(gone as PeerId)));
    await place.reach.stop();
  });

  it('E1 E2 where others come from anywhere it needs no relay and is one, unless its owner says no', async () => {
    for (const [options, offered] of [
      [{}, true],
      [{ relay: 'off' }, false],
    ] as const) {
      const place = new Place(options);
      place.own = ['/ip4/203.0.113.99/tcp/4100'];
      place.wasReached = true;
      await place.reach.start();
      await place.clock.advance(3_000);
      assert.deepEqual(
        [place.reach.isRelay, place.offered, place.connects.length, place.circuits().length],
        [offered, offered, 0, 0],
      );
      await place.reach.stop();
    }
  });

  it('looks for a better path in place of a circuit again and again, ever more rarely, until there is one', async () => {
    const place = new Place();
    place.members = [{ peerId: bob, addresses: ['/ip4/192.168.7.2/tcp/4100'], isRelay: false }];
    place.links.set(bob, 'relay');
    await place.reach.start();
    await place.clock.advance(600_000);
    const atMs = place.upgrades.map((text) => Number.parseInt(text, 10));
    const pausesMs = atMs.slice(1).map((ms, at) => ms - (atMs[at] as number));
    assert.ok((pausesMs[0] as number) <= 6_000 && pausesMs.every((ms) => ms <= 62_000), `${pausesMs}`);
    assert.ok(pausesMs.length >= 9, `${pausesMs}`);
    assert.ok(place.punches.length >= 5, `${place.punches.length}`);
    assert.ok(place.punches.length < place.upgrades.length); // U2
    assert.deepEqual(place.holes.slice(0, 4), ['tcp', 'quic', 'tcp', 'quic']); // U3
    place.hasDirectWay = true;
    await place.clock.advance(62_000);
    const count = place.upgrades.length;
    assert.equal(place.links.get(bob), 'direct');
    await place.clock.advance(600_000);
    assert.equal(place.upgrades.length, count);
    await place.reach.stop();
  });

  it('says why a link goes over a circuit still: what was tried, and when it is tried again', async () => {
    const place = new Place();
    place.members = [{ peerId: bob, addresses: ['/ip4/192.168.7.2/tcp/4100'], isRelay: false }];
    place.links.set(bob, 'relay');
    assert.equal(place.reach.whyRelayed(bob), undefined);
    await place.reach.start();
    assert.match(place.reach.whyRelayed(bob) ?? '', /^the link is new, a direct path is tried in 1 s$/);
    await place.clock.advance(1_500);
    assert.match(
      place.reach.whyRelayed(bob) ?? '',
      /^no direct path in one try: .+, no hole opened .+; tried again in [1-5] s$/,
    );
    await place.clock.advance(60_000);
    assert.match(place.reach.whyRelayed(bob) ?? '', /^no direct path in \d tries: /);
    place.hasDirectWay = true;
    await place.clock.advance(62_000);
    assert.equal(place.reach.whyRelayed(bob), undefined);
    await place.reach.stop();
  });

  it('U3 makes a hole by QUIC where TCP gets nothing through, and there by QUIC first from then on', async () => {
    const place = new Place();
    place.members = [{ peerId: bob, addresses: ['/ip4/192.168.7.2/tcp/4100'], isRelay: false }];
    place.isQuicThrough = true;
    const relayedAgain = async () => {
      place.holes.length = 0;
      place.links.set(bob, 'relay');
      await place.clock.advance(10_000);
      return place.holes;
    };
    await place.reach.start();
    assert.deepEqual(await relayedAgain(), ['tcp', 'quic']);
    assert.deepEqual(await relayedAgain(), ['quic']);
    place.isQuicThrough = false;
    assert.deepEqual((await relayedAgain()).slice(0, 3), ['quic', 'tcp', 'tcp']);
    place.isQuicThrough = true;
    assert.equal(place.links.get(bob), 'relay');
    await place.clock.advance(20_000);
    assert.equal(place.links.get(bob), 'direct');
    place.own = ['/ip4/10.9.8.7/tcp/4100'];
    assert.deepEqual(await relayedAgain(), ['tcp', 'quic'], 'in another network nothing is known');
    await place.reach.stop();
  });

  it('begins anew with looking when it is in another network', async () => {
    const place = new Place();
    place.members = [{ peerId: bob, addresses: ['/ip4/192.168.7.2/tcp/4100'], isRelay: false }];
    place.links.set(bob, 'relay');
    await place.reach.start();
    await place.clock.advance(600_000);
    const [tries, punches] = [place.upgrades.length, place.punches.length];
    place.own = ['/ip4/10.9.8.7/tcp/4100'];
    await place.clock.advance(3_000);
    assert.deepEqual([place.upgrades.length, place.punches.length], [tries + 1, punches + 1]);
    await place.reach.stop();
  });

  it('tells the connector of everybody the registry knows and nobody is linked to', async () => {
    const place = new Place({ relay: 'off' });
    place.members = [
      { peerId: bob, addresses: ['/ip4/192.168.7.2/tcp/4100'], isRelay: false },
      { peerId: relays[0] as PeerId, addresses: [], isRelay: false },
    ];
    await place.reach.start();
    assert.deepEqual(place.considered, [
      { peerId: bob, addresses: ['/ip4/192.168.7.2/tcp/4100'], source: 'registry' },
    ]);
    place.links.set(bob, 'direct');
    await place.clock.advance(30_000);
    assert.equal(place.considered.length, 1);
    await place.reach.stop();
  });

  it('does nothing where every node reaches every other one', async () => {
    const place = new Place();
    const transport = { self, addresses: () => ['/memory/1'], links: () => [] } as unknown as Transport;
    const reach = new Reach({
      transport,
      connector: { consider: () => assert.fail('considered'), connect: () => assert.fail('connected') },
      puncher: {} as Puncher,
      members: () => assert.fail('asked'),
      clock: place.clock,
      random: new SeededRandom(1),
      log: silentLogger,
    });
    await reach.start();
    await place.clock.advance(60_000);
    assert.deepEqual(reach.addresses(), ['/memory/1']);
    await reach.stop();
  });
});
