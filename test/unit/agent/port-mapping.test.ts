import assert from 'node:assert/strict';
import fc from 'fast-check';
import { defaultGateway } from '../../../src/agent/net/default-gateway.ts';
import { GatewayClient, type Opened, type PortOpener } from '../../../src/agent/net/gateway-client.ts';
import {
  GATEWAY_PORT,
  pcpMapRequest,
  readPcpMap,
  readPmpAddress,
  readPmpMap,
} from '../../../src/agent/net/gateway-messages.ts';
import { PortMapping } from '../../../src/agent/net/port-mapping.ts';
import { judgePortMapping } from '../../../src/agent/net/port-mapping-rules.ts';
import type { Datagram, UdpPort, UdpSocket } from '../../../src/agent/net/udp-port.ts';
import { AspenError, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import type { DialBackOutcome } from '../../../src/mesh/index.ts';
import { failureOf, ManualClock } from '../mesh/support.ts';

const ROUTER = '192.168.1.1';
const wish = { localHost: '192.168.1.7', localPort: 4_100, externalPort: 4_100, lifetimeS: 3_600 };
const never = () => new AbortController().signal;

describe('the router of a machine', () => {
  const table = (...lines: string[]) =>
    ['Iface Destination Gateway Flags RefCnt Use Metric Mask', ...lines].join('\n');
  const eth0 = { interface: 'eth0', family: 4, host: '192.168.1.7' } as const;
  const viaEth0 = 'eth0 00000000 0101A8C0 0003 0 0 100 00000000';
  const cases: readonly (readonly [
    what: string,
    host: string | undefined,
    lines: readonly string[],
    own?: string,
  ])[] = [
    ['of the default route', ROUTER, [viaEth0]],
    ['of the route with the least metric', ROUTER, ['eth0 00000000 0201A8C0 0003 0 0 200 00000000', viaEth0]],
    ['is none without a default route', undefined, ['eth0 0001A8C0 00000000 0001 0 0 0 00FFFFFF']],
    ['is none where the route needs no router', undefined, ['eth0 00000000 00000000 0001 0 0 0 00000000']],
    ['is none where it is down', undefined, ['eth0 00000000 0101A8C0 0002 0 0 0 00000000']],
    ['is of no use to a machine with a public address', undefined, [viaEth0], '198.51.100.9'],
    ['is none where the table is garbage', undefined, ['x', '', 'eth0 00000000 zz 0003 0 0 0 00000000']],
  ];
  for (const [what, host, lines, own = eth0.host] of cases)
    it(what, () => {
      assert.equal(defaultGateway(table(...lines), [{ ...eth0, host: own }])?.host, host);
    });

  it('is none where there is no table, or the machine has no address there', () => {
    assert.equal(defaultGateway(undefined, [eth0]), undefined);
    assert.equal(defaultGateway(table(viaEth0), []), undefined);
  });
});

describe('what a router says', () => {
  it('is read or left out, whatever the bytes are', () => {
    const nonce = Buffer.alloc(12, 7);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        readPcpMap(bytes, { nonce, localPort: 4_100 });
        readPmpMap(bytes, { localPort: 4_100 });
        readPmpAddress(bytes);
      }),
    );
  });

  it('counts only for the question that was asked', () => {
    const nonce = Buffer.alloc(12, 7);
    const answer = Buffer.from(pcpMapRequest(wish, nonce));
    answer.writeUInt8(0x81, 1);
    const read = (change: (bytes: Buffer) => void, localPort = 4_100) => {
      const bytes = Buffer.from(answer);
      change(bytes);
      return readPcpMap(bytes, { nonce, localPort });
    };
    assert.deepEqual(
      read(() => undefined),
      {
        isOk: true,
        value: { externalHost: '0.0.0.0', externalPort: 4_100, lifetimeS: 3_600 },
      },
    );
    assert.equal(
      read((bytes) => bytes.writeUInt8(8, 24)),
      undefined,
      'another nonce',
    );
    assert.equal(
      read(() => undefined, 4_101),
      undefined,
      'another port',
    );
    assert.equal(
      read((bytes) => bytes.writeUInt8(0x01, 1)),
      undefined,
      'a question',
    );
    assert.match(JSON.stringify(read((bytes) => bytes.writeUInt8(2, 3))), /does not allow/);
  });
});

/** A router of datagrams: what it answers to each. */
class FakeUdp implements UdpPort {
  readonly sent: Datagram[] = [];
  openCount = 0;
  readonly #answer: (bytes: Uint8Array, count: number) => Datagram | undefined;

  constructor(answer: (bytes: Uint8Array, count: number) => Datagram | undefined) {
    this.#answer = answer;
  }

  async open(_family: 4 | 6, onDatagram: (datagram: Datagram) => void): Promise<UdpSocket> {
    this.openCount += 1;
    return {
      port: 5_000,
      send: (datagram) => {
        this.sent.push(datagram);
        const answer = this.#answer(datagram.bytes, this.sent.length);
        if (answer !== undefined) queueMicrotask(() => onDatagram(answer));
      },
      [Symbol.dispose]: () => {
        this.openCount -= 1;
      },
    };
  }
}

describe('asking a router', () => {
  const from = (bytes: Uint8Array, host = ROUTER): Datagram => ({ host, port: GATEWAY_PORT, bytes });
  const pcpAnswer = (bytes: Uint8Array) => {
    const answer = Buffer.from(bytes);
    answer.writeUInt8(0x81, 1);
    answer.set([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 9], 44);
    return answer;
  };
  const clientOf = (udp: FakeUdp) => {
    const clock = new ManualClock();
    return { clock, client: new GatewayClient({ udp, clock, random: new SeededRandom(1) }) };
  };

  it('by PCP takes one datagram each way, and asks again when one was lost', async () => {
    const udp = new FakeUdp((bytes, count) => (count === 2 ? from(pcpAnswer(bytes)) : undefined));
    const { clock, client } = clientOf(udp);
    const opening = client.open(ROUTER, wish, never());
    await clock.advance(300);
    assert.deepEqual(await opening, {
      ...{ kind: 'PCP', externalHost: '203.0.113.9', externalPort: 4_100, lifetimeS: 3_600 },
    });
    assert.deepEqual([udp.sent.length, udp.openCount], [2, 0]);
  });

  it('falls back to NAT-PMP where PCP is another version', async () => {
    const udp = new FakeUdp((bytes) => {
      if (bytes[0] === 2) return from(Buffer.from([0, 0x81, 0, 1, 0, 0, 0, 0]));
      if (bytes[1] === 0) return from(Buffer.from([0, 128, 0, 0, 0, 0, 0, 1, 203, 0, 113, 9]));
      const answer = Buffer.from([0, 130, 0, 0, 0, 0, 0, 1, 0, 0, 0x4e, 0x20, 0, 0, 0, 60]);
      answer.set(bytes.subarray(4, 6), 8);
      return from(answer);
    });
    const { clock, client } = clientOf(udp);
    const opening = client.open(ROUTER, wish, never());
    await clock.advance(10);
    assert.deepEqual(await opening, {
      ...{ kind: 'NAT-PMP', externalHost: '203.0.113.9', externalPort: 20_000, lifetimeS: 60 },
    });
  });

  it('O5 answers of others do not count, and no answer ends it: in seconds, with no socket left', async () => {
    const udp = new FakeUdp((bytes) =>
      from(
        bytes.length === 60 ? pcpAnswer(bytes) : Buffer.from([0, 128, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4]),
        '192.168.1.66',
      ),
    );
    const { clock, client } = clientOf(udp);
    const opening = failureOf(client.open(ROUTER, wish, never()));
    await clock.advance(7_000);
    assert.match(String(await opening), /192\.168\.1\.1 opens no port: it does not answer/);
    assert.equal(udp.openCount, 0);
    assert.ok(
      udp.sent.length <= 8 && udp.sent.every(({ host }) => host === ROUTER),
      `${udp.sent.length} sent`,
    );
  });
});

/** Does what the test says, and notes what it was asked. */
class FakeOpener implements PortOpener {
  readonly asked: string[] = [];
  answer: Opened | AspenError = {
    kind: 'PCP',
    externalHost: '203.0.113.9',
    externalPort: 20_000,
    lifetimeS: 3_600,
  };

  async open(gateway: string): Promise<Opened> {
    this.asked.push(`open ${gateway}`);
    if (this.answer instanceof AspenError) throw this.answer;
    return this.answer;
  }

  async close(gateway: string): Promise<void> {
    this.asked.push(`close ${gateway}`);
  }
}

describe('a port that a router opened', () => {
  const OUTSIDE = '/ip4/203.0.113.9/tcp/20000';
  let clock: ManualClock;
  let opener: FakeOpener;
  let gateway: { host: string; localHost: string } | undefined;
  let outcome: DialBackOutcome;
  let told: readonly string[];
  let mapping: PortMapping;
  beforeEach(async () => {
    clock = new ManualClock();
    opener = new FakeOpener();
    gateway = { host: ROUTER, localHost: '192.168.1.7' };
    outcome = 'nobody-to-ask';
    told = [];
    mapping = new PortMapping({
      opener,
      gateway: () => gateway,
      listens: () => ['/ip4/192.168.1.7/tcp/4100', '/ip6/fd00::1/tcp/4100'],
      confirm: async () => outcome,
      tell: (addresses) => {
        told = addresses;
      },
      clock,
      random: new SeededRandom(1),
      log: silentLogger,
    });
    await mapping.start();
    await clock.advance(0);
  });
  afterEach(() => mapping.stop());

  it('O4 is told only after somebody came through it', async () => {
    await clock.advance(60_000);
    assert.deepEqual([told, mapping.state.step], [[], 'opened']);
    outcome = 'not-reached';
    await clock.advance(120_000);
    assert.deepEqual([told, mapping.state.step], [[], 'not-reached']);
    outcome = 'reached';
    await clock.advance(600_000);
    assert.deepEqual([told, mapping.state.step], [[OUTSIDE], 'confirmed']);
  });

  it('O4 is told no longer once nobody comes through it, and one who does not come is not enough', async () => {
    outcome = 'reached';
    await clock.advance(10_000);
    assert.deepEqual(told, [OUTSIDE]);
    outcome = 'not-reached';
    await clock.advance(600_000);
    assert.deepEqual(told, [OUTSIDE]);
    await clock.advance(60_000);
    assert.deepEqual([told, mapping.state.step], [[], 'not-reached']);
  });

  it('is kept open before its time is over, and given back at the end', async () => {
    await clock.advance(4 * 3_600_000);
    const opened = opener.asked.filter((line) => line.startsWith('open'));
    assert.ok(opened.length >= 8 && opened.length <= 10, `${opened.length} times`);
    await mapping.stop();
    assert.equal(opener.asked.at(-1), `close ${ROUTER}`);
  });

  it('is asked for again after a sleep: its time went on meanwhile', async () => {
    outcome = 'reached';
    await clock.advance(20_000);
    assert.equal(opener.asked.length, 1);
    mapping.anew();
    await clock.advance(60_000);
    assert.equal(opener.asked.length, 2);
    assert.deepEqual(told, [OUTSIDE]);
  });

  it('is given up in another network, and asked for at its router', async () => {
    outcome = 'reached';
    await clock.advance(10_000);
    gateway = { host: '192.168.1.254', localHost: '192.168.1.7' };
    await clock.advance(20_000);
    assert.deepEqual(opener.asked.slice(-2), [`close ${ROUTER}`, 'open 192.168.1.254']);
    gateway = undefined;
    await clock.advance(20_000);
    assert.deepEqual([told, mapping.state.step], [[], 'needless']);
    assert.equal(opener.asked.at(-1), 'close 192.168.1.254');
  });

  it('O4 of a router that is behind another one is not told, and nobody is asked to come', async () => {
    await mapping.stop();
    opener.answer = { kind: 'PCP', externalHost: '10.9.9.9', externalPort: 1, lifetimeS: 3_600 };
    outcome = 'reached';
    await mapping.start();
    gateway = { host: '192.168.1.253', localHost: '192.168.1.7' };
    await clock.advance(60_000);
    assert.deepEqual([told, mapping.state.step], [[], 'not-outside']);
    assert.match(judgePortMapping(mapping.state).detail, /behind another one/);
  });

  it('O5 a router that says no is asked ever more rarely', async () => {
    await mapping.stop();
    opener.answer = new AspenError('UNAVAILABLE', 'the router opens no port: it does not allow that');
    opener.asked.length = 0;
    await mapping.start();
    gateway = { host: '192.168.1.253', localHost: '192.168.1.7' };
    await clock.advance(24 * 3_600_000);
    const asked = opener.asked.filter((line) => line.startsWith('open')).length;
    assert.ok(asked > 24 && asked < 60, `${asked} times in a day`);
    assert.deepEqual(judgePortMapping(mapping.state), {
      isSo: false,
      detail: 'the router opens no port: it does not allow that',
    });
  });
});
