import assert from 'node:assert/strict';
import fc from 'fast-check';
import { FirstOpener } from '../../../src/agent/net/first-opener.ts';
import type { Opened, PortOpener } from '../../../src/agent/net/gateway-client.ts';
import type { Datagram, UdpPort } from '../../../src/agent/net/udp-port.ts';
import { type GatewayHttp, UpnpClient } from '../../../src/agent/net/upnp-client.ts';
import {
  elementOf,
  readDescription,
  readSearchAnswer,
  soapErrorOf,
} from '../../../src/agent/net/upnp-messages.ts';
import { AspenError } from '../../../src/base/index.ts';
import { failureOf, ManualClock } from '../mesh/support.ts';

const ROUTER = '192.168.1.1';
const SERVICE = 'urn:schemas-upnp-org:service:WANPPPConnection:1';
const wish = { localHost: '192.168.1.7', localPort: 4_100, externalPort: 4_100, lifetimeS: 3_600 };
const never = () => new AbortController().signal;
const answerAt = (location: string) =>
  Buffer.from(`HTTP/1.1 200 OK\r\nST: x\r\nLocation: ${location}\r\n\r\n`);
const described = (url: string) =>
  `<root><service><serviceType>${SERVICE}</serviceType><controlURL>${url}</controlURL></service></root>`;

describe('what a router says by UPnP', () => {
  it('O5 leads to the router, and to nobody else', () => {
    assert.equal(
      readSearchAnswer(answerAt(`http://${ROUTER}:5000/a.xml`), ROUTER),
      `http://${ROUTER}:5000/a.xml`,
    );
    const others = [
      'http://192.168.1.66/a.xml',
      'http://127.0.0.1:4100/',
      `https://${ROUTER}/a.xml`,
      `http://user@${ROUTER}/a.xml`,
      `http://${ROUTER}.example.org/`,
      'file:///etc/passwd',
      'no address',
      `http://${ROUTER}/${'x'.repeat(600)}`,
    ];
    for (const location of others)
      assert.equal(readSearchAnswer(answerAt(location), ROUTER), undefined, location);
    for (const url of others.slice(0, 3)) {
      const from = `http://${ROUTER}:5000/a.xml`;
      assert.equal(readDescription(described(url), from, ROUTER), undefined, url);
    }
  });

  it('describes where ports are asked for', () => {
    const other =
      '<service><serviceType>urn:x:Layer3Forwarding:1</serviceType><controlURL>/l3</controlURL></service>';
    assert.deepEqual(readDescription(other + described('/ctl'), `http://${ROUTER}:5000/a.xml`, ROUTER), {
      url: `http://${ROUTER}:5000/ctl`,
      service: SERVICE,
    });
    assert.equal(readDescription(other, `http://${ROUTER}/`, ROUTER), undefined);
  });

  it('is read whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 400 }), (text) => {
        readSearchAnswer(Buffer.from(text), ROUTER);
        readDescription(`<service>${text}`, `http://${ROUTER}/`, ROUTER);
        elementOf(text, 'errorCode');
        soapErrorOf(`<errorCode>${text}</errorCode>`);
      }),
    );
    assert.equal(elementOf('<u:A xmlns:u="x"><NewX a="b"> 7 </NewX>', 'NewX'), '7');
  });
});

/** A router that says where it is to whoever asks, and answers each action as the test wants. */
class FakeRouter implements UdpPort, GatewayHttp {
  readonly asked: string[] = [];
  location = `http://${ROUTER}:5000/a.xml`;
  isSilent = false;
  answers: Record<string, () => { status: number; body: string }> = {
    GetExternalIPAddress: () => ({
      status: 200,
      body: '<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>',
    }),
    DeletePortMapping: () => ({ status: 200, body: '' }),
    AddPortMapping: () => ({ status: 200, body: '' }),
  };

  async open(_family: 4 | 6, onDatagram: (datagram: Datagram) => void) {
    return {
      port: 5_000,
      send: ({ host }: Datagram) => {
        this.asked.push(`search ${host}`);
        if (!this.isSilent)
          queueMicrotask(() => onDatagram({ host: ROUTER, port: 1_900, bytes: answerAt(this.location) }));
      },
      [Symbol.dispose]: () => undefined,
    };
  }

  async send({ url, method, headers = {}, body = '' }: Parameters<GatewayHttp['send']>[0]) {
    if (method === 'GET') {
      this.asked.push(`get ${url}`);
      return { status: 200, body: described('/ctl') };
    }
    const action = headers['soapaction']?.split('#')[1]?.slice(0, -1) ?? '';
    const port = elementOf(body, 'NewExternalPort') ?? '';
    this.asked.push([action, port, elementOf(body, 'NewLeaseDuration') ?? ''].join(' ').trim());
    return this.answers[action]?.() ?? { status: 500, body: '' };
  }
}

describe('asking a router by UPnP', () => {
  let router: FakeRouter;
  let clock: ManualClock;
  let client: UpnpClient;
  beforeEach(() => {
    router = new FakeRouter();
    clock = new ManualClock();
    client = new UpnpClient({ udp: router, http: router, clock });
  });
  const error = (code: number) => ({ status: 500, body: `<errorCode>${code}</errorCode>` });

  it('finds it, opens the port and closes it', async () => {
    assert.deepEqual(await client.open(ROUTER, wish, never()), {
      ...{ kind: 'UPnP', externalHost: '203.0.113.9', externalPort: 4_100, lifetimeS: 3_600 },
    });
    await client.close(ROUTER, 'UPnP', wish, never());
    assert.deepEqual(router.asked, [
      `search ${ROUTER}`,
      `get http://${ROUTER}:5000/a.xml`,
      'AddPortMapping 4100 3600',
      'GetExternalIPAddress',
      'DeletePortMapping 4100',
    ]);
  });

  it('takes the next port where one is taken, and a lease without an end where there is no other', async () => {
    const refusals = [error(718), error(725)];
    router.answers['AddPortMapping'] = () => refusals.shift() ?? { status: 200, body: '' };
    assert.equal((await client.open(ROUTER, wish, never())).externalPort, 4_101);
    const added = router.asked.filter((line) => line.startsWith('Add'));
    assert.deepEqual(added, [
      'AddPortMapping 4100 3600',
      'AddPortMapping 4101 3600',
      'AddPortMapping 4101 0',
    ]);
  });

  it('says why it was refused, and does not go on for ever', async () => {
    router.answers['AddPortMapping'] = () => error(606);
    assert.match(String(await failureOf(client.open(ROUTER, wish, never()))), /opens no port: it says 606/);
    router.answers['AddPortMapping'] = () => error(718);
    await failureOf(client.open(ROUTER, wish, never()));
    assert.ok(router.asked.filter((line) => line.startsWith('Add')).length <= 5);
  });

  it('O5 one that is silent, or sends this node elsewhere, is asked three times and given up', async () => {
    for (const location of ['', 'http://192.168.1.66/a.xml']) {
      router.asked.length = 0;
      router.isSilent = location === '';
      router.location = location;
      const failing = failureOf(client.open(ROUTER, wish, never()));
      await clock.advance(4_000);
      assert.match(String(await failing), /does not answer/);
      assert.deepEqual(router.asked, Array(3).fill(`search ${ROUTER}`));
    }
  });
});

describe('a router of unknown language', () => {
  it('is asked in each, and from then on in the one that it understood', async () => {
    const asked: string[] = [];
    const opener = (name: string, answer: () => Opened): PortOpener => ({
      open: async () => {
        asked.push(`open ${name}`);
        return answer();
      },
      close: async () => void asked.push(`close ${name}`),
    });
    const refuse = () => {
      throw new AspenError('UNAVAILABLE', 'it does not answer');
    };
    const opened: Opened = { kind: 'UPnP', externalHost: '203.0.113.9', externalPort: 1, lifetimeS: 1 };
    const first = new FirstOpener([opener('a', refuse), opener('b', () => opened)]);
    await first.open(ROUTER, wish, never());
    await first.open(ROUTER, wish, never());
    await first.close(ROUTER, 'UPnP', wish, never());
    assert.deepEqual(asked, ['open a', 'open b', 'open b', 'close b']);
  });
});
