import assert from 'node:assert/strict';
import { AspenError, type PeerId, silentLogger } from '../../../src/base/index.ts';
import type { Messenger } from '../../../src/mesh/messenger.ts';
import { Puncher } from '../../../src/mesh/puncher.ts';
import type { Hole, PeerLink, Transport } from '../../../src/mesh/transport.ts';
import { failureOf, identityOf, ManualClock } from './support.ts';

type Handler = Parameters<Messenger['handle']>[1];

const [low, high, ron] = [1, 2, 3].map((number) => identityOf(number).peerId).toSorted() as [
  PeerId,
  PeerId,
  PeerId,
];

/** Two ends that are linked over a circuit, each beside a member with a public address; what holes do is written down. */
class TwoEnds {
  readonly clock = new ManualClock();
  readonly passed: string[] = [];
  openCount = 0;
  links: PeerLink[] = [];
  readonly #handlers = new Map<PeerId, Handler>();
  readonly low = this.#end(low);
  readonly high = this.#end(high);

  constructor() {
    const link = (peerId: PeerId, path: PeerLink['path'], address: string): PeerLink => ({
      peerId,
      path,
      address,
      rttMs: 1,
      since: 0,
    });
    this.links = [
      link(low, 'relay', '/memory/low'),
      link(high, 'relay', '/memory/high'),
      link(ron, 'direct', '/ip4/203.0.113.1/tcp/4100'),
    ];
  }

  #end(self: PeerId): Puncher {
    const links = () => this.links.filter(({ peerId }) => peerId !== self);
    const transport = {
      self,
      links,
      reach: { openHole: async (observer: PeerId) => this.#hole(self, observer) },
    } as unknown as Transport;
    const messenger = {
      handle: (_method: string, handler: Handler) => {
        this.#handlers.set(self, handler);
        return { [Symbol.dispose]: () => undefined };
      },
      request: async (to: PeerId, _method: string, body: unknown) =>
        await this.#handlers.get(to)?.({ from: self, body }),
    } as unknown as Messenger;
    return new Puncher({ transport, messenger, clock: this.clock, log: silentLogger });
  }

  #hole(self: PeerId, observer: PeerId): Hole {
    assert.equal(observer, ron);
    this.openCount += 1;
    return {
      address: self === low ? '/ip4/198.51.100.1/tcp/50001' : '/ip4/198.51.100.2/tcp/50002',
      through: async (peerId, address, { isInitiator }) => {
        this.passed.push(
          `${isInitiator ? 'caller' : 'called'} to ${peerId === low ? 'low' : 'high'} ${address}`,
        );
      },
      [Symbol.dispose]: () => {
        this.openCount -= 1;
      },
    };
  }
}

const never = new AbortController().signal;

describe('puncher', () => {
  it('U1 the smaller peer id begins, and each goes to where the other is seen, one as the caller', async () => {
    const ends = new TwoEnds();
    assert.ok(ends.low.begins(high) && !ends.high.begins(low));
    await ends.low.punch(high, never);
    await ends.high.stop();
    assert.deepEqual(ends.passed.toSorted(), [
      'called to low /ip4/198.51.100.1/tcp/50001',
      'caller to high /ip4/198.51.100.2/tcp/50002',
    ]);
    assert.equal(ends.openCount, 0);
  });

  it('U1 nobody is helped who is not linked over a circuit', async () => {
    const ends = new TwoEnds();
    ends.links = ends.links.map((link) => ({ ...link, path: 'direct' as const }));
    assert.match(String(await failureOf(ends.low.punch(high, never))), /not linked over a circuit/);
    assert.deepEqual([ends.passed, ends.openCount], [[], 0]);
  });

  it('U1 one hole for a peer at a time', async () => {
    const ends = new TwoEnds();
    await ends.low.punch(high, never);
    assert.match(String(await failureOf(ends.low.punch(high, never))), /asked a moment ago/);
    await ends.clock.advance(2_000);
    await ends.low.punch(high, never);
  });

  it('says so where no member with a public address is linked', async () => {
    const ends = new TwoEnds();
    ends.links = ends.links.filter(({ peerId }) => peerId !== ron);
    assert.match(String(await failureOf(ends.low.punch(high, never))), /no member with a public address/);
  });

  it('asks nobody where only a WebSocket leads out', async () => {
    const ends = new TwoEnds();
    ends.links = ends.links.map((link) =>
      link.peerId === ron ? { ...link, address: '/ip4/203.0.113.1/tcp/443/tls/ws' } : link,
    );
    assert.match(String(await failureOf(ends.low.punch(high, never))), /no member with a public address/);
    assert.equal(ends.openCount, 0);
  });

  it('takes nothing for an address but an address', async () => {
    for (const address of [
      7,
      '',
      '/dns4/example.org/tcp/1',
      '/ip4/1.2.3.4/tcp/1/p2p-circuit',
      '/unix/tmp/x',
    ]) {
      const ends = new TwoEnds();
      const transport = { self: low, links: () => ends.links } as unknown as Transport;
      let handler: Handler | undefined;
      const messenger = {
        handle: (_method: string, given: Handler) => {
          handler = given;
          return { [Symbol.dispose]: () => undefined };
        },
      } as unknown as Messenger;
      const puncher = new Puncher({ transport, messenger, clock: ends.clock, log: silentLogger });
      const asked = async () => await handler?.({ from: high, body: { address } });
      const error = await failureOf(asked());
      assert.ok(error instanceof AspenError && error.code === 'INVALID_PARAMS', String(error));
      puncher[Symbol.dispose]();
    }
  });
});
