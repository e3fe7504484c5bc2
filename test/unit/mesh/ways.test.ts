import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AddressRest } from '../../../src/mesh/address-rest.ts';
import { circuitAddress, isCircuit, parseCircuit, withoutTarget } from '../../../src/mesh/circuit-address.ts';
import {
  decodeAnswer,
  decodeOpening,
  encodeAnswer,
  encodeOpening,
} from '../../../src/mesh/circuit-messages.ts';
import {
  CIRCUITS_LIMIT,
  CIRCUITS_PER_PEER_LIMIT,
  type CircuitRequest,
  refusalOf,
} from '../../../src/mesh/circuit-rules.ts';
import {
  ATTEMPTS_LIMIT,
  DIRECT_HEAD_START_MS,
  PLAIN_HEAD_START_MS,
  planDials,
  STAGGER_MS,
} from '../../../src/mesh/dial-plan.ts';
import { announcedAddresses, unboundAddresses } from '../../../src/mesh/listen-addresses.ts';
import { doesHandOver, isWorsePath } from '../../../src/mesh/path-rules.ts';
import {
  chooseRelays,
  circuitsOver,
  isFromElsewhere,
  isWorthPunching,
  judgeReachability,
  offersCircuits,
  type RelayCandidate,
  toldAddresses,
  upgradePauseMs,
} from '../../../src/mesh/reach-rules.ts';
import { RelayShares } from '../../../src/mesh/relay-shares.ts';
import { identityOf, ManualClock } from './support.ts';

const [ada, bob, eve, ron] = [1, 2, 3, 4].map((number) => identityOf(number).peerId) as [
  ReturnType<typeof identityOf>['peerId'],
  ReturnType<typeof identityOf>['peerId'],
  ReturnType<typeof identityOf>['peerId'],
  ReturnType<typeof identityOf>['peerId'],
];
const viaRon = circuitAddress({ relay: ron, relayAddress: '/ip4/203.0.113.1/tcp/4100' });

describe('circuit addresses', () => {
  it('come back as they were written, and nothing else is one', () => {
    assert.deepEqual(parseCircuit(viaRon), { relay: ron, relayAddress: '/ip4/203.0.113.1/tcp/4100' });
    for (const text of [
      '/ip4/203.0.113.1/tcp/4100',
      `/p2p/${ron}/p2p-circuit`,
      '/ip4/203.0.113.1/tcp/4100/p2p/nobody/p2p-circuit',
      `${viaRon}/p2p/${eve}/p2p-circuit`,
      `${viaRon}/p2p/${eve}`,
    ])
      assert.equal(parseCircuit(text), undefined, text);
  });

  it('lose whom they lead to, and keep their relay', () => {
    assert.equal(withoutTarget(`${viaRon}/p2p/${eve}`), viaRon);
    assert.equal(withoutTarget(viaRon), viaRon);
    assert.equal(withoutTarget(`/ip4/10.0.0.1/tcp/1/p2p/${eve}`), '/ip4/10.0.0.1/tcp/1');
    assert.ok(isCircuit(viaRon) && !isCircuit('/ip4/10.0.0.1/tcp/1'));
  });
});

describe('messages on a circuit', () => {
  it('come back as they were written', () => {
    for (const kind of ['to', 'from'] as const)
      assert.deepEqual(decodeOpening(encodeOpening({ kind, peerId: eve })), { kind, peerId: eve });
    assert.deepEqual(decodeAnswer(encodeAnswer({ isOk: true })), { isOk: true });
    const refused = { isOk: false, reason: 'not-offered' } as const;
    assert.deepEqual(decodeAnswer(encodeAnswer(refused)), refused);
  });

  it('are refused, and never more than refused, when they are garbage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const decode of [decodeOpening, decodeAnswer]) {
          try {
            decode(bytes);
          } catch (error) {
            assert.equal((error as { code?: string }).code, 'INVALID_REQUEST');
          }
        }
      }),
    );
  });
});

describe('whom a relay carries', () => {
  const end = (peerId: typeof ada, facts: object = {}) =>
    ({ peerId, standing: 'member', isLinkedDirectly: true, ...facts }) as const;
  const request = (facts: Partial<CircuitRequest> = {}): CircuitRequest => ({
    self: ron,
    isOffered: true,
    source: end(ada),
    target: end(bob),
    countOf: () => 0,
    totalCount: 0,
    ...facts,
  });
  const cases: readonly (readonly [string, Partial<CircuitRequest>, string | undefined])[] = [
    ['two members linked to it', {}, undefined],
    ['Y1 not a stranger', { source: end(ada, { standing: 'stranger' }) }, 'not-admitted'],
    ['Y1 not to a revoked peer', { target: end(bob, { standing: 'refused' }) }, 'not-admitted'],
    ['Y1 not to one that is away', { target: end(bob, { isLinkedDirectly: false }) }, 'not-linked'],
    ['Y1 not over a circuit', { source: end(ada, { isLinkedDirectly: false }) }, 'not-linked'],
    ['not to itself', { target: end(ron) }, 'not-linked'],
    ['not from one to the same', { target: end(ada) }, 'not-linked'],
    ['Y3 not unless it offers it', { isOffered: false }, 'not-offered'],
    ['Y2 not beyond its limit', { totalCount: CIRCUITS_LIMIT }, 'relay-full'],
    [
      'Y2 not beyond the limit of either',
      { countOf: (peerId) => (peerId === bob ? CIRCUITS_PER_PEER_LIMIT : 0) },
      'peer-full',
    ],
    [
      'a stranger learns nothing of the relay',
      { source: end(eve, { standing: 'stranger' }), isOffered: false },
      'not-admitted',
    ],
  ];
  for (const [name, facts, refusal] of cases)
    it(name, () => assert.equal(refusalOf(request(facts)), refusal));
});

describe('the shares of a relay', () => {
  /** Each peer sends messages as fast as it is allowed to. @returns bytes by peer. */
  function run(messageBytes: readonly number[], runMs: number, options = {}): number[] {
    const shares = new RelayShares({ bytesPerSecond: 1_000_000, burstBytes: 50_000, ...options });
    const sent = messageBytes.map(() => 0);
    const mayAt = messageBytes.map(() => 0);
    for (let nowMs = 0; nowMs < runMs; nowMs += 1)
      for (const [peer, bytes] of messageBytes.entries())
        while ((mayAt[peer] as number) <= nowMs) {
          const waitMs = shares.spend(`peer ${peer}`, bytes, nowMs);
          sent[peer] = (sent[peer] as number) + bytes;
          if (waitMs > 0) mayAt[peer] = nowMs + waitMs;
        }
    return sent;
  }

  it('Y4 each of those that always have something gets its part, whatever the size of their messages', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 100, max: 20_000 }), { minLength: 1, maxLength: 6 }),
        (sizes) => {
          const sent = run(sizes, 5_000);
          for (const bytes of sent)
            assert.ok(bytes >= (0.85 * 5_000_000) / sizes.length, `${sent} of ${sizes}`);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('Y5 all together get no more than the rate, their bursts and a message each', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 100, max: 20_000 }), { minLength: 1, maxLength: 6 }),
        (sizes) => {
          const total = run(sizes, 5_000).reduce((sum, bytes) => sum + bytes, 0);
          assert.ok(total <= 5_000_000 + sizes.length * (50_000 + 20_000), `${total}`);
        },
      ),
      { numRuns: 20 },
    );
  });

  it('Y4 one peer alone gets all of it, also after it had to share', () => {
    const shares = new RelayShares({ bytesPerSecond: 1_000, burstBytes: 100 });
    shares.spend('a', 100, 0);
    shares.spend('b', 100, 0);
    assert.equal(shares.spend('a', 500, 0), 1_000);
    assert.equal(shares.spend('a', 1_000, 10_000), 900);
  });

  it('keeps a debt over the end of a circuit, and no account for ever', () => {
    const shares = new RelayShares({ bytesPerSecond: 1_000, burstBytes: 100 });
    shares.spend('debtor', 5_100, 0);
    shares.spend('other', 1, 2_000);
    assert.equal(shares.accountCount, 2);
    shares.spend('third', 1, 60_000);
    assert.equal(shares.accountCount, 1);
  });
});

describe('where a node listens', () => {
  const plain = Array.from({ length: 12 }, (_, at) => `/ip4/10.0.${at}.1/tcp/4100`);
  const webSockets = ['/ip4/10.0.0.1/tcp/443/tls/ws', '/ip4/203.0.113.1/tcp/443/tls/ws'];

  it('D5 tells a WebSocket among the first addresses, a public one first, and every address', () => {
    const told = announcedAddresses([...plain, ...webSockets]);
    assert.deepEqual(told.slice(5, 7), webSockets.toReversed());
    assert.deepEqual(told.toSorted(), [...plain, ...webSockets].toSorted());
  });

  it('notices a port that it did not get', () => {
    const wanted = [
      '/ip4/0.0.0.0/tcp/4100',
      '/ip4/0.0.0.0/tcp/443/wss',
      '/ip6/::/tcp/0',
      '/ip4/0.0.0.0/tcp/4180/ws',
    ];
    assert.deepEqual(unboundAddresses(wanted, [...plain, webSockets[0] as string]), [
      '/ip4/0.0.0.0/tcp/4180/ws',
    ]);
    assert.deepEqual(unboundAddresses(wanted, []), [wanted[0], wanted[1], wanted[3]]);
  });
});

describe('the plan of a dial', () => {
  const plan = (
    addresses: readonly string[],
    resting: readonly string[] = [],
    linked: readonly string[] = [ron],
  ) =>
    planDials({
      addresses,
      isResting: (address) => resting.includes(address),
      isRelayLinked: (relay) => linked.includes(relay),
    });
  const near = '/ip4/192.168.1.2/tcp/4100';
  const open = '/ip4/198.51.100.7/tcp/4100';
  const six = '/ip6/2a00::7/tcp/4100';

  it('D2 direct ways first, all of them soon, then circuits', () => {
    assert.deepEqual(plan([viaRon, near, open, six]), [
      { address: open, afterMs: 0 },
      { address: six, afterMs: STAGGER_MS },
      { address: near, afterMs: 2 * STAGGER_MS },
      { address: viaRon, afterMs: DIRECT_HEAD_START_MS },
    ]);
  });

  it('D2 a circuit at once where there is nothing else', () => {
    assert.deepEqual(plan([viaRon]), [{ address: viaRon, afterMs: 0 }]);
    assert.deepEqual(plan([viaRon, near], [near]), [{ address: viaRon, afterMs: 0 }]);
  });

  it('D1 what rests is tried when nothing else is left', () => {
    assert.deepEqual(plan([near], [near]), [{ address: near, afterMs: 0 }]);
  });

  it('D3 no circuit over a relay that is not linked, and none that is malformed', () => {
    assert.deepEqual(plan([viaRon], [], []), []);
    assert.deepEqual(plan([`${viaRon}/p2p/${eve}/p2p-circuit`]), []);
  });

  const web = '/dns4/relay.example.org/tcp/443/tls/ws';

  it('D5 WebSockets after plain ways and before circuits, at once where there is no plain way', () => {
    assert.deepEqual(plan([web, viaRon, near]), [
      { address: near, afterMs: 0 },
      { address: web, afterMs: PLAIN_HEAD_START_MS },
      { address: viaRon, afterMs: DIRECT_HEAD_START_MS },
    ]);
    assert.deepEqual(plan([near, viaRon, web], [near]), [
      { address: web, afterMs: 0 },
      { address: viaRon, afterMs: DIRECT_HEAD_START_MS },
    ]);
  });

  it('D5 keeps room for a WebSocket, however many plain addresses there are', () => {
    const many = Array.from({ length: 20 }, (_, at) => `/ip4/10.0.0.${at}/tcp/1`);
    const planned = plan([...many, viaRon, web]).map(({ address }) => address);
    assert.equal(planned.length, ATTEMPTS_LIMIT);
    assert.deepEqual(planned.slice(-2), [web, viaRon]);
  });

  it('D1 never tries more than its limit, no address twice, and always keeps room for a circuit', () => {
    const address = fc.oneof(
      fc.integer({ min: 1, max: 40 }).map((host) => `/ip4/10.0.0.${host}/tcp/1`),
      fc.integer({ min: 1, max: 40 }).map((host) => `/ip6/fd00::${host}/tcp/1`),
      fc
        .integer({ min: 1, max: 40 })
        .map((port) => circuitAddress({ relay: ron, relayAddress: `/ip4/203.0.113.1/tcp/${port}` })),
    );
    fc.assert(
      fc.property(fc.array(address, { maxLength: 40 }), (addresses) => {
        const planned = plan(addresses).map((dial) => dial.address);
        assert.ok(planned.length <= ATTEMPTS_LIMIT);
        assert.equal(new Set(planned).size, planned.length);
        assert.equal(planned.length > 0, addresses.length > 0);
        if (addresses.some(isCircuit)) assert.ok(planned.some(isCircuit));
        const firstCircuit = planned.findIndex(isCircuit);
        if (firstCircuit >= 0) assert.ok(planned.slice(firstCircuit).every(isCircuit));
      }),
    );
  });
});

describe('the rest of an address', () => {
  it('D4 is longer after each failure up to the limit, over when it worked, and one peer only', async () => {
    const clock = new ManualClock();
    const rest = new AddressRest(clock, { firstMs: 100, mostMs: 350 });
    const restMs = async () => {
      rest.failed('bob', '/a');
      let ms = 0;
      for (; rest.isResting('bob', '/a'); ms += 10) await clock.advance(10);
      return ms;
    };
    assert.deepEqual([await restMs(), await restMs(), await restMs(), await restMs()], [100, 200, 350, 350]);
    rest.failed('bob', '/a');
    assert.ok(!rest.isResting('eve', '/a'));
    rest.worked('bob', '/a');
    assert.ok(!rest.isResting('bob', '/a'));
    assert.equal(await restMs(), 100);
  });

  it('remembers no more than its limit', () => {
    const rest = new AddressRest(new ManualClock(), { addressesLimit: 2 });
    for (const address of ['/a', '/b', '/c']) rest.failed('bob', address);
    assert.deepEqual(
      ['/a', '/b', '/c'].map((address) => rest.isResting('bob', address)),
      [false, true, true],
    );
  });
});

describe('which path is kept', () => {
  const channel = (path: 'direct' | 'relay', instance = 'a') => ({ path, instance });

  it('P1 a direct channel to the same process takes the place of a circuit', () => {
    assert.ok(doesHandOver(channel('relay'), channel('direct')));
    assert.ok(!doesHandOver(channel('relay'), channel('direct', 'restarted')));
    assert.ok(!doesHandOver(channel('direct'), channel('direct')));
    assert.ok(!doesHandOver(channel('direct'), channel('relay')));
  });

  it('P2 a circuit is worse than a direct channel to the same process', () => {
    assert.ok(isWorsePath(channel('direct'), channel('relay')));
    assert.ok(!isWorsePath(channel('direct'), channel('relay', 'restarted')));
    assert.ok(!isWorsePath(channel('relay'), channel('relay')));
  });
});

describe('how a node is reached', () => {
  const open = ['/ip4/203.0.113.1/tcp/4100'];

  it('E1 is public only once somebody came from outside to a public address', () => {
    assert.equal(judgeReachability(['/ip4/192.168.1.2/tcp/4100'], { wasReached: true }), 'private');
    assert.equal(judgeReachability(open, { wasReached: false }), 'unknown');
    assert.equal(judgeReachability(open, { wasReached: true }), 'public');
  });

  it('E2 carries circuits where it is public, or as its owner says', () => {
    assert.deepEqual(
      (['public', 'unknown', 'private'] as const).map((reachability) => [
        offersCircuits('auto', reachability),
        offersCircuits('on', reachability),
        offersCircuits('off', reachability),
      ]),
      [
        [true, true, false],
        [false, true, false],
        [false, true, false],
      ],
    );
  });

  it('E1 is not told by a neighbour, only by somebody from elsewhere', () => {
    const own = ['/ip6/2a00:1:2:3::7/tcp/4100', '/ip4/203.0.113.1/tcp/4100'];
    assert.ok(!isFromElsewhere('/ip6/2a00:1:2:0003:9:8:7:6/tcp/50000', own));
    assert.ok(!isFromElsewhere('/ip4/192.168.1.2/tcp/50000', own));
    assert.ok(isFromElsewhere('/ip6/2a00:1:2:4::7/tcp/50000', own));
    assert.ok(isFromElsewhere('/ip6/2a00::3:7/tcp/50000', own));
    assert.ok(isFromElsewhere('/ip4/198.51.100.1/tcp/50000', own));
  });

  const candidate = (peerId: typeof ada, link?: RelayCandidate['link'], failures = 0): RelayCandidate => ({
    peerId,
    addresses: [...open, '/ip4/10.0.0.1/tcp/4100', viaRon],
    link,
    failures,
  });

  it('E3 comes to every relay in turn while the first ones are not reached', () => {
    const relays = Array.from({ length: 12 }, (_, at) => identityOf(100 + at).peerId);
    const failures = new Map(relays.map((peerId) => [peerId, 0]));
    for (let round = 0; round < 4; round += 1)
      for (const { peerId } of chooseRelays(
        ada,
        relays.map((relay) => candidate(relay, undefined, failures.get(relay))),
      ))
        failures.set(peerId, (failures.get(peerId) ?? 0) + 1);
    assert.deepEqual([...new Set(failures.values())], [1]);
  });

  it('keeps the relays it is linked to, near ones first, and fills up with others', () => {
    const chosen = chooseRelays(
      ada,
      [
        candidate(bob),
        candidate(eve, { path: 'direct', rttMs: 80 }),
        candidate(ron, { path: 'direct', rttMs: 8 }),
        candidate(ada),
      ],
      3,
    );
    assert.deepEqual(
      chosen.map(({ peerId }) => peerId),
      [ron, eve, bob],
    );
  });

  it('spreads over relays that are all the same to it', () => {
    const relays = Array.from({ length: 12 }, (_, at) => candidate(identityOf(100 + at).peerId));
    const used = new Set(
      Array.from({ length: 40 }, (_, at) => identityOf(200 + at).peerId).flatMap((self) =>
        chooseRelays(self, relays).map(({ peerId }) => peerId),
      ),
    );
    assert.equal(used.size, relays.length);
  });

  it('tells circuits over relays that are linked directly, by their public addresses', () => {
    assert.deepEqual(
      circuitsOver([
        candidate(ron, { path: 'direct', rttMs: 1 }),
        candidate(bob, { path: 'relay', rttMs: 1 }),
        candidate(eve),
      ]),
      [viaRon],
    );
  });

  it('U2 punches at first, then only now and then, but always again', () => {
    const worth = Array.from({ length: 33 }, (_, failures) => failures).filter(isWorthPunching);
    assert.deepEqual(worth, [0, 1, 2, 3, 8, 16, 24, 32]);
  });

  it('tells no circuit that others would not take for an address, and all of them among the first sixteen', () => {
    const long = {
      ...candidate(ron, { path: 'direct', rttMs: 1 }),
      addresses: [`/dns4/${'a'.repeat(200)}.org/tcp/1`],
    };
    assert.deepEqual(circuitsOver([long]), []);
    const own = Array.from({ length: 20 }, (_, at) => `/ip4/10.0.0.${at}/tcp/1`);
    const told = toldAddresses(own, [viaRon, `${viaRon}2`]);
    assert.deepEqual([told.indexOf(viaRon) < 16, told.length], [true, 22]);
  });

  it('looks for a better path ever more rarely, but always again', () => {
    assert.deepEqual(
      [0, 1, 2, 3, 4, 99].map(upgradePauseMs),
      [5_000, 10_000, 20_000, 40_000, 60_000, 60_000],
    );
  });
});
