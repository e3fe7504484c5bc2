import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError } from '../../../src/base/index.ts';
import { forwardedHost } from '../../../src/mesh/forwarded-address.ts';
import { HTTP_HEAD_BYTES_LIMIT, HTTP_HEADERS_LIMIT, HttpHeadReader } from '../../../src/mesh/http-head.ts';
import {
  parseNoProxy,
  parseProxy,
  proxyFor,
  proxySettingsOf,
  proxyText,
} from '../../../src/mesh/proxy-rules.ts';
import { isWebSocket, parseWsAddress } from '../../../src/mesh/ws-address.ts';

describe('addresses of WebSockets', () => {
  it('are read in both spellings, with a peer id or without', () => {
    const named = { host: 'relay.example.org', port: 443, family: 4, isTls: true };
    assert.deepEqual(parseWsAddress('/dns4/relay.example.org/tcp/443/tls/ws'), named);
    assert.deepEqual(parseWsAddress('/dns4/relay.example.org/tcp/443/wss'), named);
    assert.deepEqual(parseWsAddress('/dns4/relay.example.org/tcp/443/wss/p2p/12D3'), named);
    assert.deepEqual(parseWsAddress('/ip4/203.0.113.1/tcp/443/tls/sni/a.example/ws'), {
      ...{ host: '203.0.113.1', port: 443, family: 4, isTls: true, serverName: 'a.example' },
    });
    assert.deepEqual(parseWsAddress('/ip6/2a00::7/tcp/80/ws'), {
      ...{ host: '2a00::7', port: 80, family: 6, isTls: false },
    });
  });

  it('are none of the others', () => {
    for (const other of [
      '',
      '/ip4/10.0.0.1/tcp/443',
      '/ip4/10.0.0.1/udp/443/ws',
      '/ip4/10.0.0.1/tcp/70000/ws',
      '/ip4/10.0.0.1/tcp/443/tls',
      '/unix/a/tcp/443/ws',
      '/ip4/10.0.0.1/tcp/443/tls/ws/p2p/12D3/p2p-circuit',
      '/dns4/a\r\nHost: b/tcp/443/tls/ws',
      '/dns4/a b/tcp/443/ws',
      '/ip4/10.0.0.1/tcp/443/tls/sni/a\r\nb/ws',
    ])
      assert.ok(!isWebSocket(other), other);
  });
});

describe('what is said of proxies', () => {
  it('is a URL, with what the proxy is shown or without', () => {
    assert.deepEqual(parseProxy('http://proxy.corp:3128'), { host: 'proxy.corp', port: 3128, isTls: false });
    assert.deepEqual(parseProxy('proxy.corp:3128'), { host: 'proxy.corp', port: 3128, isTls: false });
    assert.deepEqual(parseProxy('https://[2001:db8::1]'), { host: '2001:db8::1', port: 443, isTls: true });
    const { authorization } = parseProxy('http://ada:p%40ss@proxy.corp');
    assert.equal(authorization, `Basic ${Buffer.from('ada:p@ss').toString('base64')}`);
  });

  it('is told to people without what is secret, also when it is refused', () => {
    assert.equal(proxyText(parseProxy('https://ada:secret@proxy.corp:3128')), 'https://proxy.corp:3128');
    for (const text of ['socks5://ada:secret@proxy.corp', 'http://ada:secret@', 'http://ada:secret@c:70000'])
      assert.throws(
        () => parseProxy(text),
        (error: unknown) =>
          error instanceof AspenError && error.code === 'INVALID_PARAMS' && !error.message.includes('secret'),
      );
  });

  it('is what the owner wrote, or else what the environment says', () => {
    const environment = { HTTPS_PROXY: 'http://a:1', ALL_PROXY: 'http://b:2', HTTP_PROXY: 'http://c:3' };
    const where = (setting: string, said: object) => {
      const { proxy, from } = proxySettingsOf(setting, said as Record<string, string>);
      return [proxy?.host, from];
    };
    assert.deepEqual(where('auto', environment), ['a', 'HTTPS_PROXY']);
    assert.deepEqual(where('auto', { all_proxy: 'http://b:2' }), ['b', 'all_proxy']);
    assert.deepEqual(where('auto', { HTTP_PROXY: 'http://c:3' }), [undefined, undefined]);
    assert.deepEqual(where('auto', { HTTPS_PROXY: '' }), [undefined, undefined]);
    assert.deepEqual(where('off', environment), [undefined, undefined]);
    assert.deepEqual(where('http://d:4', environment), ['d', 'proxy in the settings']);
    const { proxy, problem } = proxySettingsOf('auto', { ALL_PROXY: 'socks5://x:1' });
    assert.equal(proxy, undefined);
    assert.match(problem ?? '', /ALL_PROXY: the proxy is of a kind \(socks5:\)/);
  });
});

describe('NO_PROXY', () => {
  const proxy = parseProxy('proxy.corp:3128');
  const goesDirectly = (noProxy: string, host: string, port = 443) =>
    proxyFor({ proxy, direct: parseNoProxy(noProxy) }, { host, port }) === undefined;
  const cases: readonly (readonly [noProxy: string, host: string, isDirect: boolean])[] = [
    ['', 'relay.example.org', false],
    ['', '127.0.0.1', true],
    ['', 'localhost', true],
    ['*', 'relay.example.org', true],
    ['example.org', 'relay.example.org', true],
    ['.example.org', 'relay.example.org', true],
    ['*.example.org', 'relay.example.org', true],
    ['example.org', 'example.org', true],
    ['EXAMPLE.org', 'Example.ORG', true],
    ['ample.org', 'example.org', false],
    ['example.org:443', 'example.org', true],
    ['example.org:80', 'example.org', false],
    ['a.org, example.org', 'example.org', true],
    ['10.1.0.0/16', '10.1.2.3', true],
    ['10.1.0.0/16', '10.2.2.3', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3:443', '10.1.2.3', true],
    ['10.1.2.3:80', '10.1.2.3', false],
    ['2001:db8::/32', '2001:db8:7::1', true],
    ['[2001:db8::1]', '2001:db8:0:0::1', true],
    ['2001:db8::/32', '2001:db9::1', false],
    ['0.0.0.0/0', 'relay.example.org', false],
    ['999.1.1.1', '10.1.1.1', false],
  ];
  for (const [noProxy, host, isDirect] of cases)
    it(`"${noProxy}" lets ${host} go ${isDirect ? 'directly' : 'through the proxy'}`, () =>
      assert.equal(goesDirectly(noProxy, host), isDirect));

  it('is never more than understood or not', () => {
    fc.assert(
      fc.property(fc.string(), fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()), (noProxy, host) => {
        goesDirectly(noProxy, host);
      }),
    );
  });
});

describe('the answer of a proxy', () => {
  const answer =
    'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nA:  b \r\n\r\nmore';
  const read = (text: string, cut = text.length) => {
    const reader = new HttpHeadReader();
    for (let at = 0; at < text.length; at += cut) {
      const head = reader.push(Buffer.from(text.slice(at, at + cut), 'latin1'));
      if (head !== undefined) return { head, behind: text.slice(at + cut) };
    }
    return undefined;
  };

  it('is read however it is cut, and what came behind it is kept', () => {
    for (let cut = 1; cut <= answer.length; cut += 1) {
      const { head, behind } = read(answer, cut) ?? {};
      assert.deepEqual(
        [head?.status, head?.reason, head?.headers.get('a')],
        [407, 'Proxy Authentication Required', 'b'],
      );
      assert.equal(Buffer.from(head?.rest ?? []).toString() + behind, 'more');
    }
  });

  it('is bounded, and must be HTTP', () => {
    const tooLong = `HTTP/1.1 200 OK\r\na: ${'x'.repeat(HTTP_HEAD_BYTES_LIMIT)}`;
    const tooMany = `HTTP/1.1 200 OK\r\n${'a:b\r\n'.repeat(HTTP_HEADERS_LIMIT + 1)}\r\n`;
    for (const text of [
      tooLong,
      tooMany,
      'SSH-2.0-x\r\n',
      'HTTP/1.1 abc\r\n\r\n',
      'HTTP/1.1 200 OK\r\nno header\r\n\r\n',
    ])
      assert.throws(() => read(text, 1_000), /no answer over HTTP/);
    assert.equal(read('HTTP/1.1 200 OK\r\na: b\r\n'), undefined);
  });

  it('brings nothing to a terminal that it does not show', () => {
    assert.equal(read('HTTP/1.1 403 \x1b[31mno\r\n\r\n')?.head.reason, '?[31mno');
  });
});

describe('whom a web server speaks for', () => {
  const cases: readonly (readonly [
    remote: string,
    header: string | string[] | undefined,
    host: string | undefined,
  ])[] = [
    ['127.0.0.1', '198.51.100.7', '198.51.100.7'],
    ['::1', '10.1.1.1, 2001:db8::7', '2001:db8::7'],
    ['::ffff:127.0.0.1', ['1.1.1.1', '198.51.100.7'], '198.51.100.7'],
    ['127.0.0.1', '[2001:db8::7]', '2001:db8::7'],
    ['198.51.100.9', '198.51.100.7', undefined],
    ['127.0.0.1', undefined, undefined],
    ['127.0.0.1', '', undefined],
    ['127.0.0.1', 'unknown', undefined],
    ['127.0.0.1', '198.51.100.700', undefined],
    ['127.0.0.1', '198.51.100.7:80', undefined],
    ['127.0.0.1', `${'1.1.1.1, '.repeat(200)}198.51.100.7`, undefined],
  ];
  for (const [remote, header, host] of cases)
    it(`from ${remote}: ${String(header).slice(0, 30)}`, () =>
      assert.equal(forwardedHost(remote, header), host));

  it('is never more than understood or not', () => {
    fc.assert(fc.property(fc.string(), (header) => void forwardedHost('127.0.0.1', header)));
  });
});
