import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import type { BlobId } from '../../../src/blobs/index.ts';
import {
  addressPolicy,
  HttpExecutor,
  type HttpResult,
  parseHttpPayload,
} from '../../../src/workers/index.ts';
import { OsHttpClient, type Resolve } from '../../../src/workers/os-http-client.ts';
import { bytesOf, readAll } from '../blobs/support.ts';
import { type Answer, attemptOf, loneBlobs, type Receiver, startReceiver } from './support.ts';

const clock = new OsClock();

async function ground({
  allow = ['127.0.0.1'],
  resolve,
}: {
  readonly allow?: readonly string[];
  readonly resolve?: Resolve;
} = {}) {
  const blobs = await loneBlobs();
  const executor = new HttpExecutor({
    client: new OsHttpClient(resolve),
    policy: addressPolicy(allow),
    blobs,
    clock,
  });
  const execute = async (payload: object, signal?: AbortSignal) => {
    const outcome = await executor.execute(attemptOf(payload, signal));
    return { outcome, result: outcome.result as HttpResult & { body: string; bodyBase64: string } };
  };
  return { blobs, execute };
}

function errorOf(outcome: Awaited<ReturnType<HttpExecutor['execute']>>) {
  assert.ok(!outcome.ok);
  return outcome.error;
}

const answers = (status: number, headers: Record<string, string> = {}): Answer => {
  return (_, response) => void response.writeHead(status, headers).end('said');
};

describe('http worker', () => {
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(() => receiver[Symbol.asyncDispose]());

  it('sends what it is told to and gives back what was answered', async () => {
    receiver.answer = (_, response) => void response.writeHead(201, { 'x-made': 'yes' }).end('grüße');
    const { execute } = await ground();
    const { outcome, result } = await execute({
      url: `${receiver.url}/orders?a=1`,
      method: 'post',
      headers: { 'X-Key': 'k' },
      json: { n: 1 },
    });
    assert.equal(outcome.ok, true);
    assert.deepEqual([result.status, result.body, result.bodyBytes, result.redirects], [201, 'grüße', 7, 0]);
    assert.equal(result.headers['x-made'], 'yes');
    const [{ request, body } = assert.fail()] = receiver.requests;
    assert.deepEqual([request.method, request.url, body.toString()], ['POST', '/orders?a=1', '{"n":1}']);
    assert.equal(request.headers['x-key'], 'k');
    assert.equal(request.headers['content-type'], 'application/json');
    assert.equal(request.headers['content-length'], '7');
  });

  it('sends a blob as the body, and keeps a long answer as one with its head in the result', async () => {
    const long = bytesOf(700_000);
    receiver.answer = (_, response, body) => void response.end(body);
    const { execute, blobs } = await ground();
    const { id } = await blobs.store.add(long);
    const { outcome, result } = await execute({
      url: receiver.url,
      method: 'PUT',
      bodyBlob: id,
      maxInlineBytes: 1_000,
    });
    assert.ok(outcome.ok);
    assert.deepEqual(result.bodyBlob, { id, sizeBytes: 700_000 });
    assert.deepEqual(Buffer.from(result.bodyBase64, 'base64'), Buffer.from(long.subarray(0, 1_000)));
    assert.deepEqual(await readAll(blobs.store, id as BlobId), long);
    assert.deepEqual(blobs.store.stat(id)?.jobs, ['job_1']);
  });

  it('reads no more of a body than it may, and says so', async () => {
    receiver.answer = (_, response) => void response.end('x'.repeat(300_000));
    const { execute } = await ground();
    const { result } = await execute({ url: receiver.url, maxInlineBytes: 10, maxBodyBytes: 100_000 });
    assert.deepEqual([result.truncated, result.bodyBytes, result.body], [true, 100_000, 'x'.repeat(10)]);
    assert.equal(result.bodyBlob?.sizeBytes, 100_000);
  });

  for (const [status, retryable] of [
    [408, true],
    [425, true],
    [429, true],
    [500, true],
    [503, true],
    [400, false],
    [401, false],
    [404, false],
    [409, false],
    [304, false],
  ] as const)
    it(`fails on ${status}, ${retryable ? 'to be tried again' : 'for good'}`, async () => {
      receiver.answer = answers(status);
      const { execute } = await ground();
      const { outcome, result } = await execute({ url: receiver.url });
      const error = errorOf(outcome);
      assert.deepEqual([error.code, error.retryable, result.status], ['HTTP_STATUS', retryable, status]);
    });

  it('lets the payload say which answers are good, and which are worth another try', async () => {
    receiver.answer = answers(404);
    const { execute } = await ground();
    assert.equal((await execute({ url: receiver.url, okStatuses: ['2xx', 404] })).outcome.ok, true);
    const again = await execute({ url: receiver.url, retryStatuses: [404] });
    assert.equal(errorOf(again.outcome).retryable, true);
    receiver.answer = answers(503);
    const over = await execute({ url: receiver.url, retryStatuses: [] });
    assert.equal(errorOf(over.outcome).retryable, false);
  });

  it('waits as long as the receiver asks for before the next try', async () => {
    const { execute } = await ground();
    for (const [given, pauseMs] of [
      ['120', 120_000],
      ['1000000', 3_600_000],
      ['soon', undefined],
    ] as const) {
      receiver.answer = answers(429, { 'retry-after': given });
      const { outcome } = await execute({ url: receiver.url });
      assert.equal(errorOf(outcome).retryAfterMs, pauseMs, given);
    }
  });

  it('follows redirects, as a GET where that is the rule, and without credentials to another origin', async () => {
    const other = await startReceiver((_, response) => void response.end('there'));
    await using _ = other;
    receiver.answer = answers(302, { location: `${other.url}/b` });
    const { execute } = await ground();
    const headers = { authorization: 'Bearer s', 'x-key': 'k' };
    const { result } = await execute({ url: receiver.url, method: 'POST', body: 'b', headers });
    assert.deepEqual([result.body, result.redirects, result.url], ['there', 1, `${other.url}/b`]);
    const [{ request, body } = assert.fail()] = other.requests;
    assert.deepEqual([request.method, body.length], ['GET', 0]);
    assert.deepEqual([request.headers.authorization, request.headers['x-key']], [undefined, 'k']);
  });

  it('sends the body again after 307', async () => {
    receiver.answer = (request, response, body) => {
      if (request.url === '/') response.writeHead(307, { location: '/b' }).end();
      else response.end(body);
    };
    const { execute } = await ground();
    const { result } = await execute({ url: receiver.url, method: 'PUT', body: 'twice' });
    assert.deepEqual([result.body, result.redirects], ['twice', 1]);
  });

  it('ends a circle of redirects, and shows the redirect itself where none is to be followed', async () => {
    receiver.answer = answers(302, { location: '/again' });
    const { execute } = await ground();
    const { outcome } = await execute({ url: receiver.url, maxRedirects: 3 });
    assert.deepEqual([errorOf(outcome).retryable, receiver.requests.length], [false, 4]);
    const { result } = await execute({ url: receiver.url, maxRedirects: 0, okStatuses: [302] });
    assert.equal(result.headers['location'], '/again');
  });

  it('ends at its timeout, and when the attempt is to end', async () => {
    receiver.answer = () => undefined;
    const { execute } = await ground();
    const late = await execute({ url: receiver.url, timeoutMs: 50 });
    assert.deepEqual([errorOf(late.outcome).code, errorOf(late.outcome).retryable], ['TIMEOUT', true]);
    const stop = new AbortController();
    const stopped = execute({ url: receiver.url }, stop.signal);
    stop.abort('cancelled');
    assert.equal(errorOf((await stopped).outcome).code, 'CANCELLED');
  });

  it('tries again where nobody answers', async () => {
    await receiver[Symbol.asyncDispose]();
    const { execute } = await ground();
    const { outcome } = await execute({ url: receiver.url });
    assert.deepEqual([errorOf(outcome).code, errorOf(outcome).retryable], ['UNAVAILABLE', true]);
    assert.match(errorOf(outcome).message, /ECONNREFUSED/);
    receiver = await startReceiver();
  });
});

describe('http worker and addresses that are not public', () => {
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(() => receiver[Symbol.asyncDispose]());

  for (const host of ['127.0.0.1', 'localhost', '2130706433', '0x7f.1', '0', '[::ffff:127.0.0.1]', '127.1'])
    it(`does not connect to ${host}`, async () => {
      const { execute } = await ground({ allow: [] });
      const { outcome } = await execute({ url: `http://${host}:${receiver.port}/` });
      const { code, retryable, message } = errorOf(outcome);
      assert.deepEqual([code, retryable, receiver.requests.length], ['DENIED', false, 0]);
      assert.match(message, /httpAllow/);
    });

  it('does not follow a redirect to one', async () => {
    const door = receiver;
    const inner = await startReceiver();
    await using _ = inner;
    door.answer = answers(302, { location: `http://localhost:${inner.port}/admin` });
    const resolve: Resolve = async (host) => [
      host === 'door.test' ? { address: '127.0.0.1', family: 4 } : { address: '127.0.0.2', family: 4 },
    ];
    const { execute } = await ground({ resolve });
    const { outcome } = await execute({ url: `http://door.test:${door.port}/` });
    assert.deepEqual([errorOf(outcome).code, door.requests.length, inner.requests.length], ['DENIED', 1, 0]);
  });

  it('connects to the very address that was checked: a name that changes its mind gains nothing', async () => {
    let asked = 0;
    const resolve: Resolve = async () => {
      asked += 1;
      return [{ address: asked === 1 ? '127.0.0.1' : '127.0.0.9', family: 4 }];
    };
    const { execute } = await ground({ resolve, allow: ['127.0.0.1'] });
    const { outcome } = await execute({ url: `http://rebinding.test:${receiver.port}/` });
    assert.deepEqual([outcome.ok, asked, receiver.requests.length], [true, 1, 1]);
    const next = await execute({ url: `http://rebinding.test:${receiver.port}/` });
    assert.deepEqual([errorOf(next.outcome).code, asked, receiver.requests.length], ['DENIED', 2, 1]);
  });

  it('takes of several addresses those that are allowed', async () => {
    const resolve: Resolve = async () => [
      { address: '10.9.9.9', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ];
    const { execute } = await ground({ resolve });
    const { outcome } = await execute({ url: `http://two.test:${receiver.port}/` });
    assert.equal(outcome.ok, true);
  });
});

describe('http payload', () => {
  const url = 'https://example.org/';
  for (const [payload, path] of [
    [{}, 'payload.url'],
    [{ url: 'ftp://example.org' }, 'payload.url'],
    [{ url: 'https://user:secret@example.org' }, 'payload.url'],
    [{ url: 'file:///etc/passwd' }, 'payload.url'],
    [{ url, metod: 'GET' }, 'payload.metod'],
    [{ url, method: 'GET /' }, 'payload.method'],
    [{ url, method: 'connect' }, 'payload.method'],
    [{ url, headers: { 'a b': 'c' } }, 'payload.headers.a b'],
    [{ url, headers: { a: 'c\r\nx: y' } }, 'payload.headers.a'],
    [{ url, headers: { Host: 'inner' } }, 'payload.headers.Host'],
    [{ url, body: 'b' }, 'payload.body'],
    [{ url, method: 'POST', body: 'b', json: 1 }, 'payload.json'],
    [{ url, method: 'POST', bodyBlob: 'b' }, 'payload.bodyBlob'],
    [{ url, retryStatuses: ['9xx'] }, 'payload.retryStatuses.0'],
    [{ url, maxBodyBytes: 2 ** 31 }, 'payload.maxBodyBytes'],
    [{ url, timeoutMs: 0 }, 'payload.timeoutMs'],
    [null, 'payload'],
  ] as const)
    it(`is refused for ${path}: ${JSON.stringify(payload)}`, () => {
      assert.throws(
        () => parseHttpPayload(payload),
        (error) => error instanceof AspenError && error.details.issues?.[0]?.path === path,
      );
    });
});
