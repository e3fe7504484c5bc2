import assert from 'node:assert/strict';
import { kvModule } from '../../../../src/lease/machine/index.ts';
import { Bench, codeOf, resultOf } from './support.ts';

const HOUR_MS = 3_600_000;

function cas(expected: string | null, value: string, sequence: number, acknowledgedThrough = 0) {
  const request = { client: 'node-1/run-1', sequence, acknowledgedThrough };
  return { module: 'kv', kind: 'cas', body: { key: 'k', expected, value }, request };
}

describe('one effect per request', () => {
  it('answers a repeated request from the record, whatever happened since', () => {
    const bench = new Bench([kvModule]);
    const first = bench.apply(cas(null, 'one', 1));
    bench.apply(cas('one', 'two', 2));
    assert.deepEqual(bench.apply(cas(null, 'one', 1)), first);
    assert.equal((bench.query('kv', 'get', { key: 'k' }) as { value: string }).value, 'two');
  });

  it('answers a repeated request that was refused with the same refusal', () => {
    const bench = new Bench([kvModule]);
    const request = { client: 'c', sequence: 1, acknowledgedThrough: 0 };
    const bad = { module: 'kv', kind: 'put', body: { key: '', value: 'x' }, request };
    const first = bench.apply(bad);
    assert.equal(codeOf(first), 'INVALID_PARAMS');
    assert.deepEqual(bench.apply({ ...bad, body: { key: 'now fine', value: 'x' } }), first);
  });

  it('remembers over a restart', async () => {
    const bench = new Bench([kvModule]);
    const first = bench.apply(cas(null, 'one', 1));
    await bench.restart();
    assert.deepEqual(bench.apply(cas(null, 'one', 1)), first);
  });

  it('never applies what its client has given up, even if it was not seen before', () => {
    const bench = new Bench([kvModule]);
    bench.apply(cas(null, 'two', 2, 1));
    const late = bench.apply(cas('two', 'one', 1));
    assert.equal(codeOf(late), 'CONFLICT');
    assert.equal((bench.query('kv', 'get', { key: 'k' }) as { value: string }).value, 'two');
  });

  it('drops outcomes that were acknowledged, so that the table stays small', async () => {
    const bench = new Bench([kvModule]);
    for (let sequence = 1; sequence <= 500; sequence += 1) {
      bench.apply({
        module: 'kv',
        kind: 'put',
        body: { key: 'k', value: 'x' },
        request: { client: 'c', sequence, acknowledgedThrough: sequence - 1 },
      });
    }
    await bench.restart();
    const keys = [...bench.store.range({ from: 't0/0/outcomes/', to: 't0/0/outcomes0' })];
    assert.equal(keys.length, 1);
  });

  it('tells clients apart', () => {
    const bench = new Bench([kvModule]);
    const put = (client: string, value: string) => ({
      module: 'kv',
      kind: 'put',
      body: { key: client, value },
      request: { client, sequence: 1, acknowledgedThrough: 0 },
    });
    const [one, other] = [bench.apply(put('a', '1')), bench.apply(put('a/b', '2'))];
    assert.notDeepEqual(resultOf(one), resultOf(other));
  });
});

describe('request ids of programs', () => {
  const put = (requestId: string, value: string) => ({
    module: 'kv',
    kind: 'put',
    body: { key: 'k', value },
    requestId,
  });

  it('have their effect once, whichever node they come through', () => {
    const bench = new Bench([kvModule]);
    const one = bench.apply({
      ...put('id', 'x'),
      request: { client: 'a', sequence: 1, acknowledgedThrough: 0 },
    });
    const two = bench.apply({
      ...put('id', 'y'),
      request: { client: 'b', sequence: 9, acknowledgedThrough: 0 },
    });
    assert.deepEqual(one, two);
    assert.equal((bench.query('kv', 'get', { key: 'k' }) as { version: number }).version, 1);
  });

  it('are refused for another kind of command', () => {
    const bench = new Bench([kvModule]);
    bench.apply(put('id', 'x'));
    assert.equal(codeOf(bench.apply({ ...put('id', 'x'), kind: 'delete' })), 'CONFLICT');
  });

  it('are forgotten after a day of group time', () => {
    const bench = new Bench([kvModule]);
    const first = resultOf(bench.apply(put('id', 'x')));
    bench.groupMs = 25 * HOUR_MS;
    bench.apply(put('another', 'y'));
    assert.notDeepEqual(resultOf(bench.apply(put('id', 'z'))), first);
  });
});
