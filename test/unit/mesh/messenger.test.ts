import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, encode, type PeerId, SeededRandom, silentLogger } from '../../../src/base/index.ts';
import {
  MemoryNetwork,
  MemoryTransport,
  type NetworkPolicy,
  TransportMessenger,
} from '../../../src/mesh/index.ts';
import { decodeMessage } from '../../../src/mesh/message.ts';
import { failureOf, gateWith, identityOf, ManualClock, peerIdsOf, settle } from './support.ts';

interface Options {
  readonly policy?: NetworkPolicy;
  readonly servedPerPeerLimit?: number;
  readonly pendingRequestsLimit?: number;
}

async function pair(options: Options = {}) {
  const clock = new ManualClock();
  const network = new MemoryNetwork({ clock, ...(options.policy && { policy: options.policy }) });
  const identities = [identityOf(1), identityOf(2), identityOf(3)] as const;
  const [left, right, third] = peerIdsOf(identities) as [PeerId, PeerId, PeerId];
  const ends = [left, right].map((self, at) => {
    const transport = new MemoryTransport({ network, gate: gateWith(...identities) }, { self });
    const random = new SeededRandom(at);
    const { policy: _, ...limits } = options;
    return {
      transport,
      messenger: new TransportMessenger({ transport, clock, random, log: silentLogger }, limits),
    };
  });
  const [a, b] = ends as [(typeof ends)[number], (typeof ends)[number]];
  await a.transport.start();
  await b.transport.start();
  const dial = a.transport.dial(right, b.transport.addresses());
  await clock.advance(10);
  await dial;
  return { clock, a, b, left, right, third };
}

const WITHIN_A_SECOND = { timeoutMs: 1_000 };

describe('messenger', () => {
  it('brings the answer of the handler, sync or async', async () => {
    const { clock, a, b, right } = await pair();
    b.messenger.handle('double', ({ body }) => (body as number) * 2);
    b.messenger.handle('later', async ({ body, from }) => {
      await settle();
      return { body, from };
    });
    const answers = Promise.all([
      a.messenger.request(right, 'double', 21, WITHIN_A_SECOND),
      a.messenger.request(right, 'later', 'x', WITHIN_A_SECOND),
    ]);
    await clock.advance(10);
    assert.deepEqual(await answers, [42, { body: 'x', from: a.messenger.self }]);
  });

  it('brings the error that the handler threw, with code, details and outcome', async () => {
    const { clock, a, b, right } = await pair();
    b.messenger.handle('refuse', () => {
      throw new AspenError('NOT_LEADER', 'ask another', { details: { leader: 'x' } });
    });
    const refused = failureOf(a.messenger.request(right, 'refuse', 1, WITHIN_A_SECOND));
    const unknown = failureOf(a.messenger.request(right, 'nobody serves this', 1, WITHIN_A_SECOND));
    await clock.advance(10);
    const error = (await refused) as AspenError;
    assert.deepEqual(
      [error.code, error.details, error.outcome],
      ['NOT_LEADER', { leader: 'x' }, 'not-applied'],
    );
    assert.equal(((await unknown) as AspenError).code, 'METHOD_NOT_FOUND');
  });

  it('serves itself as it serves others', async () => {
    const { a, left } = await pair();
    const heard: unknown[] = [];
    a.messenger.handle('echo', ({ body }) => heard.push(body) && body);
    a.messenger.handle('fail', () => {
      throw new AspenError('NOT_FOUND', 'no');
    });
    assert.ok(a.messenger.send(left, 'echo', 'one'));
    assert.equal(await a.messenger.request(left, 'echo', 'two', WITHIN_A_SECOND), 'two');
    assert.deepEqual(heard, ['one', 'two']);
    assert.equal(
      ((await failureOf(a.messenger.request(left, 'fail', 0, WITHIN_A_SECOND))) as AspenError).code,
      'NOT_FOUND',
    );
  });

  it('Q1 runs a handler once when the request arrives three times, and settles once', async () => {
    const policy = { deliveries: () => [1, 2, 30], isReachable: () => true };
    const { clock, a, b, right } = await pair({ policy });
    let runs = 0;
    b.messenger.handle('count', () => {
      runs += 1;
      return runs;
    });
    const answer = a.messenger.request(right, 'count', null, WITHIN_A_SECOND);
    await clock.advance(100);
    assert.equal(await answer, 1);
    assert.equal(runs, 1);
  });

  it('Q1 knows a request again that is doubled a minute later', async () => {
    const policy = { deliveries: () => [1, 60_000, 110_000], isReachable: () => true };
    const { clock, a, b, right } = await pair({ policy });
    let runs = 0;
    b.messenger.handle('count', () => {
      runs += 1;
      return runs;
    });
    const answer = a.messenger.request(right, 'count', null, WITHIN_A_SECOND);
    await clock.advance(125_000);
    assert.equal(await answer, 1);
    assert.equal(runs, 1);
  });

  it('Q2 ends at the deadline with an unknown outcome, and a late answer changes nothing', async () => {
    const { clock, a, b, right } = await pair();
    const { promise, resolve } = Promise.withResolvers<string>();
    b.messenger.handle('slow', () => promise);
    const failed = failureOf(a.messenger.request(right, 'slow', null, WITHIN_A_SECOND));
    await clock.advance(1_000);
    const error = (await failed) as AspenError;
    assert.deepEqual([error.code, error.outcome], ['DEADLINE_EXCEEDED', 'unknown']);
    resolve('too late');
    await clock.advance(10);
  });

  it('Q2 ends with the reason of its signal', async () => {
    const { clock, a, b, right } = await pair();
    b.messenger.handle('slow', () => new Promise(() => undefined));
    const abort = new AbortController();
    const failed = failureOf(
      a.messenger.request(right, 'slow', null, { timeoutMs: 1_000, signal: abort.signal }),
    );
    await clock.advance(5);
    abort.abort(new Error('changed my mind'));
    assert.match(String(await failed), /changed my mind/);
  });

  it('Q2 fails with an unknown outcome when the channel closes after sending', async () => {
    const { clock, a, b, right } = await pair();
    b.messenger.handle('slow', () => new Promise(() => undefined));
    const failed = failureOf(a.messenger.request(right, 'slow', null, WITHIN_A_SECOND));
    await clock.advance(5);
    a.transport.hangUp(right, 'test');
    const error = (await failed) as AspenError;
    assert.deepEqual([error.code, error.outcome], ['UNAVAILABLE', 'unknown']);
  });

  it('says that nothing was applied when no channel was open', async () => {
    const { a, third } = await pair();
    const error = (await failureOf(a.messenger.request(third, 'any', 1, WITHIN_A_SECOND))) as AspenError;
    assert.deepEqual([error.code, error.outcome], ['UNAVAILABLE', 'not-applied']);
    assert.ok(!a.messenger.send(third, 'any', 1));
  });

  it('Q2 takes no answer from a peer that was not asked', async () => {
    const { clock, a, b, right } = await pair();
    b.messenger.handle('slow', () => new Promise(() => undefined));
    const failed = failureOf(a.messenger.request(right, 'slow', null, WITHIN_A_SECOND));
    const guesses = Array.from({ length: 50 }, (_, id) => encode([1, id, 'forged']));
    for (const guess of guesses) b.transport.send(a.messenger.self, guess, 'control');
    await clock.advance(1_000);
    assert.equal(((await failed) as AspenError).code, 'DEADLINE_EXCEEDED');
  });

  it('Q3 answers RESOURCE_EXHAUSTED beyond the requests in service, and serves again when some are done', async () => {
    const { clock, a, b, right } = await pair({ servedPerPeerLimit: 2 });
    const { promise, resolve } = Promise.withResolvers<string>();
    b.messenger.handle('hold', () => promise);
    const held = [1, 2].map(() => a.messenger.request(right, 'hold', null, WITHIN_A_SECOND));
    const refused = failureOf(a.messenger.request(right, 'hold', null, WITHIN_A_SECOND));
    await clock.advance(10);
    const error = (await refused) as AspenError;
    assert.equal(error.code, 'RESOURCE_EXHAUSTED');
    assert.ok((error.details.retryAfterMs ?? 0) > 0);
    resolve('done');
    await clock.advance(10);
    assert.deepEqual(await Promise.all(held), ['done', 'done']);
    const next = a.messenger.request(right, 'hold', null, WITHIN_A_SECOND);
    await clock.advance(10);
    assert.equal(await next, 'done');
  });

  it('holds no more waiting requests than its limit, and no body longer than a frame', async () => {
    const { a, b, right } = await pair({ pendingRequestsLimit: 1 });
    b.messenger.handle('slow', () => new Promise(() => undefined));
    const first = failureOf(a.messenger.request(right, 'slow', null, WITHIN_A_SECOND));
    const second = (await failureOf(a.messenger.request(right, 'slow', null, WITHIN_A_SECOND))) as AspenError;
    assert.equal(second.code, 'RESOURCE_EXHAUSTED');
    const big = new Uint8Array(5 * 2 ** 20);
    const third = (await failureOf(a.messenger.request(right, 'slow', big, WITHIN_A_SECOND))) as AspenError;
    assert.deepEqual([third.code, third.outcome], ['RESOURCE_EXHAUSTED', 'not-applied']);
    a.messenger[Symbol.dispose]();
    assert.equal(((await first) as AspenError).code, 'UNAVAILABLE');
  });

  it('hangs up on a peer that goes on sending garbage', async () => {
    const { clock, a, b, left, right } = await pair();
    for (let count = 0; count < 7; count += 1) a.transport.send(right, Uint8Array.of(0xc1), 'control');
    await clock.advance(10);
    assert.deepEqual(b.messenger.connected(), [left]);
    a.transport.send(right, encode(['no', 'message']), 'control');
    await clock.advance(10);
    assert.deepEqual(b.messenger.connected(), []);
  });

  it('tells who comes and goes', async () => {
    const { clock, a, b, right } = await pair();
    const events: string[] = [];
    a.messenger.onPeer(({ type }) => events.push(type));
    b.transport.hangUp(a.messenger.self, 'test');
    await clock.advance(10);
    void a.transport.dial(right, b.transport.addresses());
    await clock.advance(10);
    assert.deepEqual(events, ['closed', 'opened']);
  });

  it('takes a message apart only when it is one, and fails only with an AspenError', () => {
    const value = fc.oneof(
      fc.anything(),
      fc.array(fc.oneof(fc.integer({ min: 0, max: 4 }), fc.string(), fc.anything())),
    );
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), value.map(tryEncode)), (frame) => {
        try {
          decodeMessage(frame);
        } catch (error) {
          assert.ok(error instanceof AspenError);
        }
      }),
    );
  });
});

function tryEncode(value: unknown): Uint8Array {
  try {
    return encode(value);
  } catch {
    return new Uint8Array(); // not every value can be put on the wire; an empty frame is garbage too
  }
}
