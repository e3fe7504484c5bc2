import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { AspenError } from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import type { HookTarget } from '../../../src/jobs/index.ts';
import {
  addressPolicy,
  HookExecutor,
  type HttpClient,
  hmacSha256,
  signatureOf,
} from '../../../src/workers/index.ts';
import { OsHttpClient } from '../../../src/workers/os-http-client.ts';
import { attemptOf, type Receiver, startReceiver } from './support.ts';

const SECRET = 'a secret of some length';
const EVENT = { id: 'evt_1_0', type: 'job.dead', at: 5, job: { id: 'job_9', state: 'dead' } };
const PAYLOAD = { hook: 'hook_1', event: EVENT };
const crypto = new OsCrypto();

describe('delivery of a hook', () => {
  let receiver: Receiver;
  beforeEach(async () => {
    receiver = await startReceiver();
  });
  afterEach(() => receiver[Symbol.asyncDispose]());

  const deliver = (
    target: Partial<HookTarget> | AspenError = {},
    allow = ['127.0.0.1'],
    { client = new OsHttpClient(), attempt = 1 }: { client?: HttpClient; attempt?: number } = {},
  ) => {
    const executor = new HookExecutor({
      client,
      policy: addressPolicy(allow),
      group: {
        askLeader: async <R>() => {
          if (target instanceof AspenError) throw target;
          return { url: `${receiver.url}/in`, secretName: 'hook/1', ...target } as R;
        },
      },
      openSecret: async (name) => (name === 'hook/1' ? new TextEncoder().encode(SECRET) : null),
      clock: new OsClock(),
      crypto,
    });
    return executor.execute({ ...attemptOf(PAYLOAD), attempt });
  };

  it('posts the event, with a signature over the time and the body that the receiver can check', async () => {
    const outcome = await deliver();
    assert.ok(outcome.ok);
    const [{ request, body } = assert.fail()] = receiver.requests;
    assert.deepEqual(JSON.parse(body.toString()), { ...EVENT, delivery: { id: 'job_1', attempt: 1 } });
    const { headers } = request;
    assert.deepEqual(
      [
        request.method,
        request.url,
        headers['content-type'],
        headers['aspen-event'],
        headers['aspen-event-id'],
      ],
      ['POST', '/in', 'application/json', 'job.dead', 'evt_1_0'],
    );
    const [, time, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['aspen-signature'])) ?? [];
    assert.ok(Math.abs(Number(time) - Date.now()) < 60_000);
    assert.equal(digest, createHmac('sha256', SECRET).update(`${time}.${body}`).digest('hex'));
  });

  it('has no signature where there is no secret', async () => {
    await deliver({ secretName: null });
    assert.equal(receiver.requests[0]?.request.headers['aspen-signature'], undefined);
  });

  for (const [status, retryable] of [
    [500, true],
    [404, true],
    [302, true],
    [410, false],
  ] as const)
    it(`that is answered with ${status} is ${retryable ? 'tried again' : 'given up'}`, async () => {
      receiver.answer = (_, response) => void response.writeHead(status, { location: '/there' }).end();
      const outcome = await deliver();
      assert.ok(!outcome.ok);
      assert.deepEqual([outcome.error.retryable, receiver.requests.length], [retryable, 1]);
    });

  it('waits as long as the receiver asks', async () => {
    receiver.answer = (_, response) => void response.writeHead(429, { 'retry-after': '30' }).end();
    const outcome = await deliver();
    assert.ok(!outcome.ok);
    assert.equal(outcome.error.retryAfterMs, 30_000);
  });

  it('goes to no address that the owner of the node did not allow; another node may try', async () => {
    const outcome = await deliver({}, []);
    assert.ok(!outcome.ok);
    assert.deepEqual(
      [outcome.error.code, outcome.error.retryable, receiver.requests.length],
      ['DENIED', true, 0],
    );
  });

  it('tells what did not leave this node apart from what the receiver did not take, and waits longer each time', async () => {
    const noWay = Object.assign(new Error('connect ENETUNREACH'), { code: 'ENETUNREACH' });
    const client = {
      exchange: () => Promise.reject(new AspenError('UNAVAILABLE', noWay.message, { cause: noWay })),
    };
    for (const [attempt, retryAfterMs] of [
      [1, 5_000],
      [3, 20_000],
      [90, 600_000],
    ] as const) {
      const outcome = await deliver({}, ['127.0.0.1'], { client, attempt });
      assert.ok(!outcome.ok);
      assert.deepEqual(outcome.error, {
        ...{ code: 'NO_NETWORK', message: 'connect ENETUNREACH', retryable: true, retryAfterMs },
      });
    }
    const { port } = receiver;
    await receiver[Symbol.asyncDispose]();
    const refused = await deliver({ url: `http://127.0.0.1:${port}/` });
    assert.ok(!refused.ok);
    assert.equal(refused.error.code, 'UNAVAILABLE');
  });

  it('is over when its hook was removed', async () => {
    const outcome = await deliver(new AspenError('NOT_FOUND', 'the hook was removed'));
    assert.deepEqual([outcome.ok, receiver.requests.length], [true, 0]);
  });

  it('is tried again elsewhere where this node may not read the secret any more', async () => {
    const outcome = await deliver({ secretName: 'hook/2' });
    assert.ok(!outcome.ok);
    assert.deepEqual(
      [outcome.error.code, outcome.error.retryable, receiver.requests.length],
      ['SECRET_NOT_GRANTED', true, 0],
    );
  });

  it('never shows the secret in what is recorded of it', async () => {
    receiver.answer = (_, response) => void response.writeHead(500).end(SECRET);
    assert.equal(JSON.stringify(await deliver()).includes(SECRET), false);
  });
});

describe('signatures', () => {
  it('are those of HMAC-SHA256, for keys of any length', () => {
    for (const length of [0, 1, 16, 63, 64, 65, 200]) {
      const key = new Uint8Array(length).fill(7);
      const message = new TextEncoder().encode('some words');
      const expected = createHmac('sha256', key).update(message).digest('hex');
      assert.equal(Buffer.from(hmacSha256(crypto, key, message)).toString('hex'), expected, `${length}`);
    }
  });

  it('change with the time and with the body', () => {
    const base = { key: new TextEncoder().encode(SECRET), body: '{}', wallMs: 5 };
    const other = new TextEncoder().encode(`${SECRET}!`);
    const all = [base, { ...base, wallMs: 6 }, { ...base, body: '{ }' }, { ...base, key: other }];
    assert.equal(new Set(all.map((one) => signatureOf(crypto, one))).size, 4);
  });
});
