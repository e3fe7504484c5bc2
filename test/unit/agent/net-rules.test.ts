import assert from 'node:assert/strict';
import {
  clockAheadMs,
  hostOf,
  judgeMapping,
  judgeQuic,
  judgeUdp,
  proxiesOf,
  seenAs,
  type UdpObservation,
} from '../../../src/agent/net/net-rules.ts';
import { observeSelf, probeUdp } from '../../../src/agent/net/observations.ts';
import { EAR_MS, EARS_LIMIT, Observer } from '../../../src/agent/net/observer.ts';
import { judgeProxy, targetsOf } from '../../../src/agent/net/proxy-check.ts';
import type { Datagram, UdpPort, UdpSocket } from '../../../src/agent/net/udp-port.ts';
import { AspenError, type PeerId, SeededRandom } from '../../../src/base/index.ts';
import type { Messenger } from '../../../src/mesh/index.ts';
import { isPublicAddress, OBSERVE_METHODS } from '../../../src/mesh/index.ts';
import { ManualClock } from '../mesh/support.ts';

const seen = (observerHost: string, host?: string, port = 5_000): UdpObservation => ({
  peerId: observerHost as PeerId,
  observerHost,
  seen: host === undefined ? null : { host, port },
});

describe('what netcheck concludes', () => {
  it('knows of UDP only what members have told', () => {
    assert.equal(judgeUdp([]).isSo, null);
    assert.equal(judgeUdp([seen('a'), seen('b')]).isSo, false);
    assert.equal(judgeUdp([seen('a'), seen('b', '1.2.3.4')]).isSo, true);
  });

  const loaded = { isSo: true, detail: 'its package is loaded' };
  const udps = { open: [seen('a', '1.2.3.4')], shut: [seen('a')], untried: [] };
  const quics: readonly (readonly [
    string,
    Parameters<typeof judgeQuic>[0],
    keyof typeof udps,
    number,
    boolean | null,
    RegExp,
  ])[] = [
    [
      'datagrams arrive',
      loaded,
      'open',
      0,
      true,
      /arrived at 1 of 1 members, and no QUIC connection was tried/,
    ],
    ['UDP is shut', loaded, 'shut', 0, false, /is loaded, but no datagram arrived at any of 1 members/],
    ['nobody can tell of UDP', loaded, 'untried', 0, null, /^unknown: .+ could not be tried/],
    ['links go over it', loaded, 'untried', 2, true, /2 links go over it now/],
    ['it is turned off', { isSo: false, detail: 'turned off' }, 'open', 0, false, /^turned off$/],
    ['nobody needs it', undefined, 'open', 0, false, /need none/],
  ];
  for (const [why, state, udp, links, isSo, says] of quics) {
    it(`calls QUIC usable only as far as it was tried: ${why}`, () => {
      const judged = judgeQuic(state, { udp: judgeUdp(udps[udp]), links });
      assert.equal(judged.isSo, isSo);
      assert.match(judged.detail, says);
    });
  }

  const mappings: readonly (readonly [string, readonly UdpObservation[], boolean | null])[] = [
    ['nobody saw anything', [seen('a')], null],
    ['one member is no proof', [seen('a', '1.2.3.4')], null],
    ['two members at one address are none either', [seen('a', '1.2.3.4'), seen('a', '1.2.3.4', 5_001)], null],
    ['two at different ones saw the same', [seen('a', '1.2.3.4'), seen('b', '1.2.3.4')], false],
    ['another port for each', [seen('a', '1.2.3.4'), seen('b', '1.2.3.4', 5_001)], true],
    ['another address for each', [seen('a', '1.2.3.4'), seen('b', '1.2.3.5')], true],
  ];
  for (const [why, observations, isSo] of mappings) {
    it(`says whether the mapping varies: ${why}`, () => {
      assert.equal(judgeMapping(observations, 5_000).isSo, isSo);
    });
  }

  it('is seen as what direct links come from, never as the member that carries a circuit', () => {
    const relayed =
      '/ip4/203.0.113.1/tcp/4100/p2p/12D3KooWQZw4gZhVv7pTnmi6NFc2Yvvm6KzrZukqqLYEnXvbF6bu/p2p-circuit';
    assert.deepEqual(seenAs(['/ip4/203.0.113.4/tcp/22186', relayed, null, '/ip4/203.0.113.4/tcp/9']), [
      { host: '203.0.113.4', isPublic: isPublicAddress('/ip4/203.0.113.4/tcp/9'), members: 2 },
    ]);
    assert.deepEqual(seenAs([relayed]), []);
  });

  it('shows proxies without their secrets', () => {
    const environment = { https_proxy: 'http://user:pass@proxy:3128', NO_PROXY: '.local', HTTP_PROXY: '' };
    assert.deepEqual(proxiesOf(environment), [
      { variable: 'https_proxy', value: 'http://***@proxy:3128' },
      { variable: 'NO_PROXY', value: '.local' },
    ]);
    for (const value of ['user:p@ss@proxy:3128', 'http://user:p/a@ss@proxy:3128'])
      assert.doesNotMatch(JSON.stringify(proxiesOf({ ALL_PROXY: value })), /ss@|p\/a|user/);
  });

  it('asks a proxy for each place of a WebSocket once, and judges what it answers', () => {
    const addresses = [
      '/ip4/203.0.113.1/tcp/443/tls/ws',
      '/ip4/203.0.113.1/tcp/443/wss',
      '/ip4/203.0.113.1/tcp/4100',
      '/ip4/10.0.0.1/tcp/80/ws',
      '/dns4/relay.example.org/tcp/443/tls/ws',
    ];
    assert.deepEqual(targetsOf(addresses, { isFor: ({ host }) => !host.startsWith('10.') }), [
      { host: '203.0.113.1', port: 443 },
      { host: 'relay.example.org', port: 443 },
    ]);
    const report = (isSo: boolean | null, detail: string) => ({
      ...{ url: 'http://proxy:3128', from: 'HTTPS_PROXY', letsThrough: { isSo, detail } },
    });
    assert.deepEqual(judgeProxy(null), []);
    assert.equal(judgeProxy(report(true, 'to a:443'))[0]?.status, 'ok');
    assert.equal(judgeProxy(report(null, 'unknown'))[0]?.status, 'ok');
    const [refused] = judgeProxy(report(false, 'the proxy at proxy:3128 refused CONNECT to a:443: 407 No'));
    assert.equal(refused?.status, 'warn');
    assert.match(refused?.detail ?? '', /407 No$/);
    assert.match(refused?.mend ?? '', /NO_PROXY/);
  });

  it('takes half of the way off when it compares clocks', () => {
    assert.equal(clockAheadMs({ askedWallMs: 1_000, rttMs: 40, theirWallMs: 1_020 }), 0);
    assert.equal(clockAheadMs({ askedWallMs: 1_000, rttMs: 40, theirWallMs: 3_020 }), 2_000);
  });

  it('reads hosts from multiaddrs', () => {
    assert.deepEqual(hostOf('/ip4/10.0.0.1/tcp/1'), { host: '10.0.0.1', family: 4 });
    assert.deepEqual(hostOf('/ip6/::1/tcp/1'), { host: '::1', family: 6 });
    assert.equal(hostOf('/memory/a'), undefined);
  });
});

/** A network of datagrams behind a NAT that gives each destination a port of its own, or not. */
class Nat implements UdpPort {
  readonly #sockets = new Map<number, (datagram: Datagram) => void>();
  readonly varies: boolean;
  opened = 0;
  readonly wanted: (number | undefined)[] = [];
  #nextPort = 40_000;

  constructor(varies: boolean) {
    this.varies = varies;
  }

  async open(
    _family: 4 | 6,
    onDatagram: (datagram: Datagram) => void,
    wantedPort?: number,
  ): Promise<UdpSocket> {
    const port = this.#nextPort++;
    this.wanted.push(wantedPort);
    this.opened += 1;
    this.#sockets.set(port, onDatagram);
    return {
      port,
      send: ({ host, port: to, bytes }) => {
        const mapped = this.varies ? 50_000 + Number(host.at(-1)) : 50_000;
        this.#sockets.get(to)?.({ host: '198.51.100.7', port: mapped, bytes });
      },
      [Symbol.dispose]: () => {
        this.opened -= 1;
        this.#sockets.delete(port);
      },
    };
  }
}

/** Members that answer, by handlers that each registers on its own messenger. */
class Members {
  readonly handlers = new Map<string, Map<string, (message: { from: PeerId; body: unknown }) => unknown>>();

  messengerOf(self: string): Messenger {
    const own = new Map<string, (message: { from: PeerId; body: unknown }) => unknown>();
    this.handlers.set(self, own);
    return {
      handle: (method: string, handler: (message: { from: PeerId; body: unknown }) => unknown) => {
        own.set(method, handler);
        return { [Symbol.dispose]: () => own.delete(method) };
      },
      request: async (to: PeerId, method: string, body: unknown) => {
        const handler = this.handlers.get(to)?.get(method);
        if (handler === undefined) throw new AspenError('METHOD_NOT_FOUND', method);
        return handler({ from: self as PeerId, body });
      },
    } as unknown as Messenger;
  }
}

describe('how members look to each other', () => {
  const linkTo = (peerId: string, host: string) => ({
    peerId: peerId as PeerId,
    address: `/ip4/${host}/tcp/4100`,
    path: 'direct' as const,
    rttMs: 1,
    since: 0,
  });
  const world = (varies: boolean) => {
    const clock = new ManualClock();
    const members = new Members();
    const nat = new Nat(varies);
    const observers = ['b', 'c'].map(
      (name) =>
        new Observer({
          messenger: members.messengerOf(name),
          transport: {
            links: () => [linkTo('a', '198.51.100.7'), linkTo('e', '198.51.100.8')],
            addresses: () => ['/ip4/203.0.113.1/tcp/443/tls/ws', '/ip4/203.0.113.1/tcp/4100'],
          },
          clock,
          random: new SeededRandom(1),
          udp: nat,
        }),
    );
    const transport = { links: () => [linkTo('b', '203.0.113.1'), linkTo('c', '203.0.113.2')] };
    return {
      clock,
      members,
      nat,
      observers,
      asker: { messenger: members.messengerOf('a'), transport, clock, udp: nat },
    };
  };
  const probed = async (varies: boolean) => {
    const { clock, asker, nat, observers } = world(varies);
    const probing = probeUdp(asker);
    await clock.advance(1_000);
    const probe = await probing;
    for (const observer of observers) observer[Symbol.dispose]();
    assert.equal(nat.opened, 0, 'no socket is left');
    return judgeMapping(probe.observations, probe.localPort ?? 0).isSo;
  };

  it('finds a NAT that gives each destination a port of its own', async () =>
    assert.equal(await probed(true), true));
  it('finds one that keeps the port', async () => assert.equal(await probed(false), false));

  it('tells where a link comes from, and what its clock says', async () => {
    const { asker } = world(false);
    const observations = await observeSelf(asker);
    assert.deepEqual(
      observations.map(({ peerId, address, clockAheadMs: ahead }) => [peerId, address, ahead]),
      [
        ['b', '/ip4/198.51.100.7/tcp/4100', 0],
        ['c', '/ip4/198.51.100.7/tcp/4100', 0],
      ],
    );
  });

  it('O2 listens for few at once, one for each, and not for long', async () => {
    const { clock, members, nat } = world(false);
    const listen = members.handlers.get('b')?.get(OBSERVE_METHODS.listen);
    assert.ok(listen !== undefined);
    for (let at = 0; at < EARS_LIMIT; at += 1) await listen({ from: `peer-${at}` as PeerId, body: 4 });
    await listen({ from: 'peer-0' as PeerId, body: 4 });
    assert.equal(nat.opened, EARS_LIMIT);
    await assert.rejects(async () => listen({ from: 'one more' as PeerId, body: 4 }), {
      code: 'RESOURCE_EXHAUSTED',
    });
    await assert.rejects(async () => listen({ from: 'peer-1' as PeerId, body: 'x' }), {
      code: 'INVALID_PARAMS',
    });
    await clock.advance(EAR_MS + 1);
    assert.equal(nat.opened, 0);
  });

  it('O2 believes no datagram without its token, and tells nobody else of it', async () => {
    const { members, nat } = world(false);
    const own = members.handlers.get('b');
    const ear = await own?.get(OBSERVE_METHODS.listen)?.({ from: 'a' as PeerId, body: 4 });
    const [port, token] = ear as [number, Uint8Array];
    const seenBy = (from: string, body: unknown) =>
      own?.get(OBSERVE_METHODS.seen)?.({ from: from as PeerId, body });
    using socket = await nat.open(4, () => undefined);
    socket.send({ host: '203.0.113.1', port, bytes: Buffer.alloc(16) });
    assert.equal(seenBy('a', token), null);
    socket.send({ host: '203.0.113.1', port, bytes: token });
    assert.deepEqual(seenBy('a', token), ['198.51.100.7', 50_000]);
    assert.equal(seenBy('z', token), null);
    assert.equal(seenBy('a', 'not a token'), null);
  });

  it('O2 takes the first datagram of a QUIC connection from the host of the link only', async () => {
    const { members, nat } = world(false);
    const own = members.handlers.get('b');
    const initial = Buffer.alloc(1_200);
    initial.set([0xc3, 0, 0, 0, 1]);
    const seenFrom = async (from: string, bytes: Uint8Array) => {
      const ear = await own?.get(OBSERVE_METHODS.listen)?.({ from: from as PeerId, body: ['quic', 4] });
      const [port, token] = ear as [number, Uint8Array];
      using socket = await nat.open(4, () => undefined);
      socket.send({ host: '203.0.113.1', port, bytes });
      return own?.get(OBSERVE_METHODS.seen)?.({ from: from as PeerId, body: token });
    };
    assert.deepEqual(await seenFrom('a', initial), ['198.51.100.7', 50_000]);
    assert.equal(await seenFrom('a', initial.subarray(1)), null);
    assert.equal(await seenFrom('e', initial), null);
    assert.equal(nat.wanted[0], 4_100);
  });
});
