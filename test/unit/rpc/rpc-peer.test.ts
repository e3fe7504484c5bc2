import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError } from '../../../src/base/index.ts';
import { peerPair, rawAgainstPeer, settle } from './pair.ts';

const echo = async (method: string, params: unknown) => ({ method, params });
const request = (id: unknown, method: string, params?: unknown) => ({ jsonrpc: '2.0', id, method, params });
const codesOf = (values: readonly unknown[]) =>
  values.map((value) => {
    const { id, error } = value as { id: unknown; error?: { code: number } };
    return [id, error?.code];
  });

describe('a JSON-RPC peer', () => {
  it('lets both sides ask at the same time', async () => {
    const [left, right] = peerPair(
      async () => 'left',
      async () => 'right',
    );
    assert.deepEqual(await Promise.all([left.request('who'), right.request('who')]), ['right', 'left']);
  });

  it('carries an error with its code, its outcome and its details', async () => {
    const refusal = new AspenError('CONFLICT', 'it is green', { details: { current: 'green' } });
    const [left] = peerPair(echo, () => Promise.reject(refusal));
    await assert.rejects(left.request('kv.put'), (error: AspenError) => {
      assert.deepEqual(
        [error.code, error.outcome, error.message],
        ['CONFLICT', 'not-applied', 'it is green'],
      );
      assert.deepEqual(error.details, { current: 'green' });
      return true;
    });
  });

  it('answers a fault of a handler as INTERNAL, outcome unknown, and goes on', async () => {
    const { raw } = rawAgainstPeer(async (method) => {
      if (method === 'bad') throw new TypeError('oops');
      return 'ok';
    });
    raw.send(`${JSON.stringify(request(1, 'bad'))}\n${JSON.stringify(request(2, 'good'))}\n`);
    await settle();
    assert.deepEqual(raw.received.length, 2);
    const failed = raw.received.find((value) => (value as { id: number }).id === 1);
    assert.deepEqual((failed as { error: unknown }).error, {
      code: -32603,
      message: 'oops',
      data: { code: 'INTERNAL', outcome: 'unknown' },
    });
  });

  const garbage: readonly { line: string; answer: readonly (readonly [unknown, number])[]; why: string }[] = [
    { line: '{"jsonrpc":"2.0","id":1,"method":', answer: [[null, -32700]], why: 'broken JSON' },
    { line: '{"hello":"world"}', answer: [[null, -32600]], why: 'no version' },
    { line: '{"jsonrpc":"2.0","id":7}', answer: [[7, -32600]], why: 'no method' },
    { line: '{"jsonrpc":"2.0","id":7,"method":5}', answer: [[7, -32600]], why: 'a method that is no string' },
    {
      line: '{"jsonrpc":"2.0","id":{},"method":"a"}',
      answer: [[null, -32600]],
      why: 'an id that is an object',
    },
    { line: '5', answer: [[null, -32600]], why: 'a number' },
    { line: '[]', answer: [[null, -32600]], why: 'an empty batch' },
    { line: '{"jsonrpc":"2.0","id":99,"result":1}', answer: [], why: 'an answer to nothing' },
  ];
  for (const { line, answer, why } of garbage) {
    it(`R5: answers ${why} and serves on`, async () => {
      const { raw } = rawAgainstPeer(echo);
      raw.send(`${line}\n${JSON.stringify(request('next', 'ping'))}\n`);
      await settle();
      assert.deepEqual(codesOf(raw.received), [...answer, ['next', undefined]]);
    });
  }

  it('answers a batch in one line, without its notifications, each item for itself', async () => {
    const { raw } = rawAgainstPeer(echo);
    const note = { jsonrpc: '2.0', method: 'note' };
    raw.send(`${JSON.stringify([request(1, 'a'), note, 5, request(2, 'b')])}\n${JSON.stringify([note])}\n`);
    await settle();
    assert.equal(raw.received.length, 1);
    assert.deepEqual(codesOf(raw.received[0] as unknown[]).sort(), [
      [null, -32600],
      [1, undefined],
      [2, undefined],
    ]);
  });

  it('R5: answers an oversize line and closes', async () => {
    const { raw } = rawAgainstPeer(echo, { lineBytesLimit: 100 });
    raw.send(`{"jsonrpc":"2.0","id":1,"method":"${'x'.repeat(200)}`);
    await settle();
    assert.deepEqual(codesOf(raw.received), [[null, -32700]]);
    assert.equal(raw.hasEnded(), true);
  });

  it('does nothing on half a line', async () => {
    let calls = 0;
    const { raw, peer } = rawAgainstPeer(async () => {
      calls += 1;
    });
    raw.send('{"jsonrpc":"2.0","id":1,"method":"a"}');
    raw.duplex.close();
    await settle();
    assert.deepEqual([calls, raw.received, peer.signal.aborted], [0, [], true]);
  });

  it('R6: refuses what is over the limit of requests in flight, and takes more when some are answered', async () => {
    const gates: (() => void)[] = [];
    const { raw } = rawAgainstPeer(() => new Promise((resolve) => gates.push(() => resolve('ok'))), {
      inFlightLimit: 2,
    });
    for (const id of [1, 2, 3]) raw.send(`${JSON.stringify(request(id, 'slow'))}\n`);
    await settle();
    assert.deepEqual(codesOf(raw.received), [[3, -32006]]);
    gates[0]?.();
    await settle();
    raw.send(`${JSON.stringify(request(4, 'slow'))}\n`);
    await settle();
    for (const open of gates) open();
    await settle();
    assert.deepEqual(
      codesOf(raw.received).map(([id]) => id),
      [3, 1, 2, 4],
    );
  });

  it('R6: closes the connection of a client that never reads', async () => {
    const { raw, peer } = rawAgainstPeer(echo, { outgoingBytesLimit: 200_000 });
    raw.duplex.pause();
    const text = 'x'.repeat(10_000);
    let sent = 0;
    while (!peer.signal.aborted && sent < 100) {
      sent += 1;
      peer.notify('job.log', { text });
      await settle();
    }
    assert.ok(sent > 15 && sent < 30, `${sent} notifications of 10 kB`);
  });

  it('R6: tells a writer when the other side has caught up', async () => {
    const { raw, peer } = rawAgainstPeer(echo);
    raw.duplex.pause();
    while (peer.notify('job.log', { text: 'x'.repeat(10_000) })) await settle();
    let isDrained = false;
    const drained = peer.drained().then(() => {
      isDrained = true;
    });
    await settle();
    assert.equal(isDrained, false);
    raw.duplex.resume();
    await drained;
  });

  it('R7: fails what is unanswered when the connection closes, outcome unknown', async () => {
    const { raw, peer } = rawAgainstPeer(echo);
    const asked = peer.request('worker.execute');
    raw.duplex.close();
    await assert.rejects(asked, { code: 'UNAVAILABLE', outcome: 'unknown' });
    await assert.rejects(peer.request('more'), { code: 'UNAVAILABLE', outcome: 'not-applied' });
  });

  for (const answer of [
    { jsonrpc: '2.0', id: 1 },
    { jsonrpc: '2.0', id: 1, error: null },
    { id: 1, result: 'without a version' },
  ]) {
    it(`R15: takes an answer that says nothing for an error: ${JSON.stringify(answer)}`, async () => {
      const { raw, peer } = rawAgainstPeer(echo);
      const asked = peer.request('worker.execute');
      raw.send(`${JSON.stringify(answer)}\n`);
      await assert.rejects(asked, { code: 'INVALID_REQUEST', message: /answer cannot be understood/ });
      assert.deepEqual(codesOf(raw.received.slice(1)), [[1, -32600]]);
    });
  }

  it('takes an answer whose error is null for its result, as older clients write it', async () => {
    const { raw, peer } = rawAgainstPeer(echo);
    const asked = peer.request('worker.execute');
    raw.send('{"jsonrpc":"2.0","id":1,"result":7,"error":null}\n');
    assert.equal(await asked, 7);
  });

  it('answers what was asked before the other side stopped sending', async () => {
    const gates: (() => void)[] = [];
    const { raw } = rawAgainstPeer(() => new Promise((resolve) => gates.push(() => resolve('late'))));
    raw.send(`${JSON.stringify(request(1, 'slow'))}\n`);
    await settle();
    gates[0]?.();
    await settle();
    assert.deepEqual(raw.received, [{ jsonrpc: '2.0', id: 1, result: 'late' }]);
  });

  it('R4: answers every request of any mixture exactly once', async () => {
    const message = fc.oneof(
      fc.record({ kind: fc.constant('request' as const), isBatch: fc.boolean(), fails: fc.boolean() }),
      fc.record({
        kind: fc.constant('garbage' as const),
        text: fc.constantFrom('{', '5', '{}', '[]', '"x"'),
      }),
      fc.record({ kind: fc.constant('notification' as const) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(message, { maxLength: 20 }), async (messages) => {
        const { raw } = rawAgainstPeer(async (method) => {
          if (method === 'fail') throw new AspenError('NOT_FOUND', 'no');
          return 'ok';
        });
        const asked: number[] = [];
        messages.forEach((item, id) => {
          if (item.kind === 'garbage') raw.send(`${item.text}\n`);
          else if (item.kind === 'notification') raw.send('{"jsonrpc":"2.0","method":"note"}\n');
          else {
            asked.push(id);
            const one = request(id, item.fails ? 'fail' : 'work');
            raw.send(`${JSON.stringify(item.isBatch ? [one] : one)}\n`);
          }
        });
        await settle();
        const answered = raw.received.flat().flatMap((value) => (value as { id: number | null }).id ?? []);
        assert.deepEqual(
          [...answered].sort((a, b) => a - b),
          asked,
        );
      }),
      { numRuns: 100 },
    );
  });
});
