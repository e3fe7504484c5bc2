import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, type PeerId, silentLogger } from '../../../src/base/index.ts';
import type { Messenger } from '../../../src/mesh/messenger.ts';
import type { HolePart, PeerLink, Transport, UdpHole } from '../../../src/mesh/transport.ts';
import { OBSERVE_METHODS, seenAt } from '../../../src/mesh/udp-ear.ts';
import {
  earsFor,
  isQuic,
  isQuicInitial,
  mappedAddress,
  parseMapped,
} from '../../../src/mesh/udp-hole-rules.ts';
import { UdpPuncher } from '../../../src/mesh/udp-puncher.ts';
import { failureOf, identityOf, ManualClock } from './support.ts';

type Handler = Parameters<Messenger['handle']>[1];

const [low, high, ron, kim] = [1, 2, 3, 4].map((number) => identityOf(number).peerId).toSorted() as [
  PeerId,
  PeerId,
  PeerId,
  PeerId,
];
const never = new AbortController().signal;
const linkTo = (peerId: PeerId, path: PeerLink['path'], address: string, rttMs = 1): PeerLink => ({
  ...{ peerId, path, address, rttMs, since: 0 },
});

/** Two ends that are linked over a circuit, each beside members that see ports; what holes do is written down. */
class TwoEnds {
  readonly clock = new ManualClock();
  readonly done: string[] = [];
  openCount = 0;
  /** Members that see datagrams. */
  readonly seeing = new Set<PeerId>([ron, kim]);
  /** Whether the asker's part leads through. */
  letsThrough: (part: HolePart) => boolean = () => true;
  hasQuic = true;
  links: PeerLink[] = [
    linkTo(low, 'relay', '/memory/low'),
    linkTo(high, 'relay', '/memory/high'),
    linkTo(ron, 'direct', '/ip4/203.0.113.1/tcp/4100', 1),
    linkTo(kim, 'direct', '/ip4/203.0.113.2/tcp/4100', 2),
  ];
  readonly #handlers = new Map<PeerId, Handler>();
  #portCount = 50_000;
  readonly #shown = new Map<string, readonly [host: string, port: number]>();
  readonly low = this.#end(low);
  readonly high = this.#end(high);

  /** Time passes until it is over. */
  async settled<T>(work: Promise<T>): Promise<T> {
    let isOver = false;
    const over = () => {
      isOver = true;
    };
    work.then(over, over);
    while (!isOver) await this.clock.advance(50);
    return await work;
  }

  async stop(): Promise<void> {
    for (const end of [this.low, this.high]) {
      await end.stop();
      end[Symbol.dispose]();
    }
  }

  #end(self: PeerId): UdpPuncher {
    const transport = {
      self,
      links: () => this.links.filter(({ peerId }) => peerId !== self),
      reach: { openUdpHole: async (part: HolePart) => this.#hole(self, part) },
    } as unknown as Transport;
    const messenger = {
      handle: (_method: string, handler: Handler) => {
        this.#handlers.set(self, handler);
        return { [Symbol.dispose]: () => undefined };
      },
      request: async (to: PeerId, method: string, body: unknown) =>
        to === ron || to === kim
          ? this.#see(to, method, body)
          : await this.#handlers.get(to)?.({ from: self, body }),
    } as unknown as Messenger;
    return new UdpPuncher({ transport, messenger, clock: this.clock, log: silentLogger });
  }

  #see(member: PeerId, method: string, body: unknown): unknown {
    if (method === OBSERVE_METHODS.listen) return [member === ron ? 7_001 : 7_002, Buffer.alloc(16, 1)];
    assert.deepEqual(body, Buffer.alloc(16, 1));
    const seen = this.#shown.get(`${member === ron ? 7_001 : 7_002}`);
    return this.seeing.has(member) ? (seen ?? null) : null;
  }

  #hole(self: PeerId, part: HolePart): UdpHole {
    if (!this.hasQuic) throw new AspenError('UNAVAILABLE', 'no QUIC: it is turned off');
    this.openCount += 1;
    this.#portCount += 1;
    const own = { host: self === low ? '198.51.100.1' : '198.51.100.2', port: this.#portCount };
    return {
      show: ({ port }) => this.#shown.set(`${port}`, [own.host, own.port]),
      through: async (peerId, place) => {
        const to = peerId === low ? 'low' : 'high';
        this.done.push(`${part} ${to} at ${place.host} from ${own.host}`);
        const asker = self === low ? part : part === 'calls' ? 'answers' : 'calls';
        if (!this.letsThrough(asker)) throw new AspenError('UNAVAILABLE', 'nothing came through');
      },
      [Symbol.dispose]: () => {
        this.openCount -= 1;
      },
    };
  }
}

describe('udp puncher', () => {
  let ends: TwoEnds;
  beforeEach(() => {
    ends = new TwoEnds();
  });
  afterEach(async () => {
    await ends.stop();
  });

  it('U3 one end calls and the other one answers, each to where the other one is seen', async () => {
    await ends.settled(ends.low.punch(high, never));
    await ends.clock.advance(1_000);
    assert.deepEqual(ends.done.toSorted(), [
      'answers low at 198.51.100.1 from 198.51.100.2',
      'calls high at 198.51.100.2 from 198.51.100.1',
    ]);
    assert.equal(ends.openCount, 0);
  });

  it('U3 tries it the other way round where the first way leads nowhere, and no third time', async () => {
    ends.letsThrough = (part) => part === 'answers';
    await ends.settled(ends.low.punch(high, never));
    await ends.clock.advance(1_000);
    assert.equal(ends.done.length, 4);
    assert.ok(ends.done.includes('calls low at 198.51.100.1 from 198.51.100.2'));
    ends.letsThrough = () => false;
    ends.done.length = 0;
    await ends.clock.advance(2_000);
    const error = await ends.settled(failureOf(ends.low.punch(high, never)));
    assert.match(String(error), /nothing came through/);
    await ends.clock.advance(1_000);
    assert.deepEqual([ends.done.length, ends.openCount], [4, 0]);
  });

  it('U3 nobody is helped who is not linked over a circuit, or asked for the same part a moment ago', async () => {
    ends.letsThrough = () => false;
    await ends.settled(failureOf(ends.low.punch(high, never)));
    const error = await ends.settled(failureOf(ends.low.punch(high, never)));
    assert.match(String(error), /asked a moment ago.*asked a moment ago/);
    ends.letsThrough = () => true;
    await ends.clock.advance(2_000);
    ends.links = ends.links.map((link) => ({ ...link, path: 'direct' as const }));
    assert.match(
      String(await ends.settled(failureOf(ends.low.punch(high, never)))),
      /not linked over a circuit/,
    );
    assert.equal(ends.openCount, 0);
  });

  it('asks the next member when the nearest one sees nothing, and says so when none does', async () => {
    ends.seeing.delete(ron);
    await ends.settled(ends.low.punch(high, never));
    ends.seeing.clear();
    await ends.clock.advance(2_000);
    assert.match(
      String(await ends.settled(failureOf(ends.low.punch(high, never)))),
      /no member saw a datagram/,
    );
    ends.links = ends.links.filter(({ path }) => path === 'relay');
    assert.match(
      String(await ends.settled(failureOf(ends.low.punch(high, never)))),
      /no member with a public address/,
    );
    assert.equal(ends.openCount, 0);
  });

  it('believes no answer of a member that is none, whatever it is', async () => {
    await fc.assert(
      fc.asyncProperty(fc.anything(), fc.anything(), async (ear, seen) => {
        const clock = new ManualClock();
        const request = async (_to: PeerId, method: string) =>
          method === OBSERVE_METHODS.listen ? ear : seen;
        let shownPort: number | undefined;
        const show = ({ port }: { readonly port: number }) => {
          shownPort = port;
        };
        const asked = seenAt(
          { messenger: { request }, clock },
          { peerId: ron, host: '203.0.113.1' },
          { kind: 4, show, signal: never },
        ).catch((error: unknown) => {
          assert.ok(error instanceof AspenError && error.code === 'INVALID_REQUEST', String(error));
        });
        await clock.advance(2_000);
        assert.equal(await asked, undefined);
        assert.ok(shownPort === undefined || shownPort > 0);
      }),
      { numRuns: 100 },
    );
  });

  it('says so where there is no QUIC', async () => {
    ends.hasQuic = false;
    assert.match(String(await ends.settled(failureOf(ends.low.punch(high, never)))), /turned off/);
  });
});

describe('rules of holes by QUIC', () => {
  it('a member with a public IPv4 address is asked, the nearest first, and none that a router or a proxy stands before', () => {
    const links = [
      linkTo(low, 'direct', '/ip4/203.0.113.1/udp/4100/quic-v1'),
      linkTo(low, 'direct', '/ip4/203.0.113.1/tcp/443/tls/ws'),
      linkTo(low, 'direct', '/ip4/192.168.1.1/tcp/4100'),
      linkTo(low, 'direct', '/ip6/2a01::1/tcp/4100'),
      linkTo(low, 'relay', '/ip4/203.0.113.1/tcp/4100/p2p/x/p2p-circuit'),
      linkTo(ron, 'direct', '/ip4/203.0.113.3/tcp/4100', 9),
      linkTo(kim, 'direct', '/ip4/203.0.113.2/tcp/4100', 2),
    ];
    assert.deepEqual(
      earsFor(links).map(({ peerId }) => peerId),
      [kim, ron],
    );
  });

  it('only a public IPv4 address and a UDP port are taken for a place', () => {
    assert.deepEqual(parseMapped('/ip4/203.0.113.7/udp/4100'), { host: '203.0.113.7', port: 4_100 });
    const place = { host: '203.0.113.7', port: 65_535 };
    assert.deepEqual(parseMapped(mappedAddress(place)), place);
    for (const foreign of [
      ...[
        7,
        null,
        undefined,
        '',
        '/ip4/203.0.113.7/tcp/1',
        '/ip4/203.0.113.7/udp/0',
        '/ip4/203.0.113.7/udp/65536',
      ],
      ...['/ip4/192.168.1.1/udp/53', '/ip4/127.0.0.1/udp/53', '/ip4/203.0.113.999/udp/1', '/dns4/a.b/udp/1'],
      ...['/ip4/203.0.113.7/udp/1/quic-v1', '/ip4/255.255.255.255/udp/9', '/ip6/2a01::1/udp/1'],
    ])
      assert.equal(parseMapped(foreign), undefined, String(foreign));
    fc.assert(fc.property(fc.anything(), (foreign) => void parseMapped(foreign)));
  });

  it('only the first datagram of a QUIC connection is taken for one', () => {
    const initial = Buffer.alloc(1_200);
    initial.set([0xc3, 0, 0, 0, 1]);
    assert.ok(isQuicInitial(initial));
    assert.ok(!isQuicInitial(initial.subarray(0, 1_199)));
    for (const head of [
      [0x43, 0, 0, 0, 1],
      [0xe3, 0, 0, 0, 1],
      [0xc3, 0, 0, 0, 2],
      [0xc3, 1, 0, 0, 1],
      [0x83, 0, 0, 0, 1],
    ])
      assert.ok(!isQuicInitial(Buffer.concat([Buffer.from(head), Buffer.alloc(1_300)])), head.join());
    assert.ok(!isQuicInitial(new Uint8Array()));
  });

  it('an address is known to lead over QUIC', () => {
    assert.ok(isQuic('/ip4/203.0.113.7/udp/4100/quic-v1'));
    assert.ok(isQuic('/ip4/203.0.113.7/udp/4100/quic-v1/p2p/x'));
    for (const other of [
      '/ip4/203.0.113.7/udp/4100',
      '/ip4/203.0.113.7/tcp/4100',
      '/dns4/quic-v1.example/tcp/1',
    ])
      assert.ok(!isQuic(other), other);
  });
});
