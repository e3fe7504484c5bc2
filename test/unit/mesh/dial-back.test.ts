import assert from 'node:assert/strict';
import { type PeerId, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import { DialBack } from '../../../src/mesh/dial-back.ts';
import { refusalToDialBack, thoseToAsk } from '../../../src/mesh/dial-back-rules.ts';
import type { Messenger, RequestOptions } from '../../../src/mesh/index.ts';
import { Libp2pKnocks } from '../../../src/mesh/libp2p-knocks.ts';
import { ReachProbe } from '../../../src/mesh/reach-probe.ts';
import type { Reachability } from '../../../src/mesh/reach-rules.ts';
import type { PeerLink } from '../../../src/mesh/transport.ts';
import { failureOf, identityOf, ManualClock } from './support.ts';

const [ada, bob] = [identityOf(1).peerId, identityOf(2).peerId];
const link = (peerId: PeerId, address: string, path: PeerLink['path'] = 'direct'): PeerLink => ({
  ...{ peerId, address, path, rttMs: 1, since: 0 },
});
const HOME = '/ip4/203.0.113.7/tcp/50123';
const WANTED = '/ip4/203.0.113.7/tcp/4100';
const FAR = '/ip4/198.51.100.3/tcp/4100';

describe('who is dialed back', () => {
  const cases: readonly (readonly [
    what: string,
    link: PeerLink | undefined,
    address: unknown,
    isDialed: boolean,
  ])[] = [
    ['at its own host', link(ada, HOME), WANTED, true],
    ['by IPv6 at its own host', link(ada, '/ip6/2a00::1/tcp/9'), '/ip6/2A00::1/tcp/4100', true],
    ['not at the host of somebody else', link(ada, HOME), FAR, false],
    ['not over a relay', link(ada, HOME, 'relay'), WANTED, false],
    ['not when it is not linked', undefined, WANTED, false],
    ['not within a network', link(ada, '/ip4/10.0.0.7/tcp/9'), '/ip4/10.0.0.7/tcp/4100', false],
    ['not here', link(ada, '/ip4/127.0.0.1/tcp/9'), '/ip4/127.0.0.1/tcp/4100', false],
    ['not at a name', link(ada, HOME), '/dns4/203.0.113.7/tcp/4100', false],
    ['not by a circuit', link(ada, HOME), `${WANTED}/p2p/${bob}/p2p-circuit`, false],
    ['not at a port that is none', link(ada, HOME), '/ip4/203.0.113.7/tcp/70000', false],
    ['not at what is no text', link(ada, HOME), { address: WANTED }, false],
  ];
  for (const [what, from, address, isDialed] of cases)
    it(`E4 ${what}`, () => assert.equal(refusalToDialBack(from, address) === undefined, isDialed));

  it('E1 whose word means something: those linked directly, from elsewhere, not behind the same router', () => {
    const links = [
      link(ada, FAR),
      link(ada, '/ip4/192.168.1.9/tcp/1'),
      link(ada, FAR, 'relay'),
      link(ada, '/ip4/203.0.113.7/tcp/999'),
    ];
    assert.deepEqual(thoseToAsk(links, ['/ip4/192.168.1.7/tcp/4100', WANTED]), [links[0]]);
  });
});

describe('asking to be dialed back', () => {
  let clock: ManualClock;
  let knocks: string[];
  let cameMs: number | undefined;
  let isReached: boolean;
  let links: PeerLink[];
  let answer: () => Promise<unknown>;
  let served: ((from: PeerId, body: unknown) => unknown) | undefined;
  let dialBack: DialBack;
  beforeEach(() => {
    clock = new ManualClock();
    knocks = [];
    cameMs = undefined;
    isReached = false;
    links = [link(bob, FAR)];
    answer = async () => true;
    const messenger = {
      handle: (_method: string, handler: (request: { from: PeerId; body: unknown }) => unknown) => {
        served = (from, body) => handler({ from, body });
        return { [Symbol.dispose]: () => undefined };
      },
      request: async (_to: PeerId, _method: string, _body: unknown, _options: RequestOptions) => answer(),
    } as unknown as Pick<Messenger, 'handle' | 'request'>;
    const knocking = {
      knock: async (peerId: PeerId, address: string) => void knocks.push(`${peerId} ${address}`),
      knockedAtMs: () => cameMs,
      markReached: () => {
        isReached = true;
      },
      tellAlso: () => undefined,
    };
    dialBack = new DialBack({
      transport: { links: () => links, addresses: () => ['/ip4/192.168.1.7/tcp/4100'], knocking },
      ...{ messenger, clock, random: new SeededRandom(1), log: silentLogger },
    });
  });

  const confirmed = async () => {
    const asking = dialBack.confirm(WANTED, new AbortController().signal);
    await clock.advance(10_000);
    return await asking;
  };

  it('E5 whoever was asked and came makes it so, and this node knows that it is reached', async () => {
    answer = async () => {
      cameMs = clock.monotonicMs();
      return false;
    };
    assert.equal(await confirmed(), 'reached');
    assert.ok(isReached);
  });

  it('E5 the word of whoever was asked does not', async () => {
    assert.equal(await confirmed(), 'not-reached');
    assert.ok(!isReached);
  });

  it('E5 who came before it was asked does not', async () => {
    cameMs = 0;
    await clock.advance(1_000);
    assert.equal(await confirmed(), 'not-reached');
  });

  it('says when nobody can be asked', async () => {
    links = [link(bob, '/ip4/192.168.1.9/tcp/1')];
    assert.equal(await confirmed(), 'nobody-to-ask');
  });

  it('E4 a member is dialed back at its own host, and only now and then', async () => {
    links = [link(ada, HOME)];
    assert.equal(await served?.(ada, WANTED), true);
    assert.deepEqual(knocks, [`${ada} ${WANTED}`]);
    assert.match(String(await failureOf(Promise.resolve().then(() => served?.(ada, FAR)))), /another host/);
    for (let count = 1; count < 6; count += 1) await served?.(ada, WANTED);
    const refusal = await failureOf(Promise.resolve().then(() => served?.(ada, WANTED)));
    assert.match(String(refusal), /often enough/);
    assert.equal(knocks.length, 6);
  });
});

describe('E1 a node that somebody came to', () => {
  it('is reached as long as it has that address, and not by what was seen in another network', () => {
    let own: readonly string[] = ['/ip4/192.168.1.7/tcp/4100', WANTED];
    const knocks = new Libp2pKnocks({
      clock: new ManualClock(),
      dial: async () => assert.fail('nobody is dialed'),
      ownAddresses: () => own,
      wasMadeHere: () => false,
      isMember: () => true,
    });
    assert.ok(!knocks.wasReached);
    knocks.markReached(own);
    assert.ok(knocks.wasReached);
    own = ['/ip4/192.168.1.7/tcp/4100', '/ip4/203.0.113.99/tcp/4100'];
    assert.ok(!knocks.wasReached, 'a private address that is the same in both proves nothing');
    own = [WANTED];
    assert.ok(knocks.wasReached, 'it is back');
  });
});

describe('a node with an address that could be reached', () => {
  it('asks others to come until somebody did, ever more rarely', async () => {
    const clock = new ManualClock();
    let asked = 0;
    let reachability: Reachability = 'unknown';
    const probe = new ReachProbe({
      dialBack: {
        confirm: async () => {
          asked += 1;
          return 'not-reached';
        },
      },
      addresses: () => ['/ip4/192.168.1.7/tcp/1', WANTED],
      reachability: () => reachability,
      ...{ clock, random: new SeededRandom(1), log: silentLogger },
    });
    await probe.start();
    await clock.advance(24 * 3_600_000);
    assert.ok(asked > 20 && asked < 120, `${asked} times in a day`);
    const before = asked;
    reachability = 'public';
    await clock.advance(3_600_000);
    assert.equal(asked, before);
    await probe.stop();
  });
});
