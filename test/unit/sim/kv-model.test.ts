import assert from 'node:assert/strict';
import { checkKv, type KvInput, type KvOutput, kvPartitions, type Operation } from '../../sim/check/index.ts';

type Row = readonly [client: string, calledMs: number, returnedMs: number, KvInput, KvOutput | 'unknown'];

const get = (key: string) => ({ type: 'get', key }) as const;
const put = (key: string, value: string) => ({ type: 'put', key, value }) as const;
const both: KvInput = { type: 'transaction', compare: [], success: [get('a'), get('b')], failure: [] };
const move = (expected: string, value: string): KvInput => ({
  type: 'transaction',
  compare: [{ key: 'a', value: expected }],
  success: [put('a', value), put('b', value)],
  failure: [get('b')],
});
const saw = (a: string | null, b: string | null): KvOutput => ({
  isDone: true,
  responses: [{ value: a }, { value: b }],
});

function check(rows: readonly Row[]) {
  const history = rows.map(
    ([client, calledMs, atMs, input, output]): Operation<KvInput, KvOutput> =>
      output === 'unknown'
        ? { client, calledMs, input }
        : { client, calledMs, input, result: { output, atMs } },
  );
  return checkKv(history).isLinearizable;
}

describe('the model of transactions', () => {
  const good: Readonly<Record<string, readonly Row[]>> = {
    'both keys change at once': [
      ['x', 0, 1, put('a', '1'), { revision: 1 }],
      ['x', 2, 3, move('1', '2'), { isDone: true, responses: [{ revision: 2 }, { revision: 2 }] }],
      ['y', 4, 5, both, saw('2', '2')],
    ],
    'a comparison that does not hold takes the other branch': [
      ['x', 0, 1, put('b', '7'), {}],
      ['x', 2, 3, move('1', '2'), { isDone: false, responses: [{ value: '7' }] }],
      ['y', 4, 5, both, saw(null, '7')],
    ],
    'an unknown transaction takes effect late, or never': [
      ['x', 0, 1, put('a', '1'), {}],
      ['x', 2, 2, move('1', '2'), 'unknown'],
      ['z', 2, 2, move('9', '3'), 'unknown'],
      ['y', 4, 5, both, saw('1', null)],
      ['y', 6, 7, get('b'), { value: '2' }],
    ],
    'two unknown writes of two keys are both needed by one read': [
      ['x', 0, 0, put('a', '1'), 'unknown'],
      ['z', 0, 0, put('b', '2'), 'unknown'],
      ['y', 4, 5, both, saw('1', '2')],
    ],
    'one of two concurrent ones wins': [
      ['x', 0, 1, put('a', '1'), {}],
      ['x', 2, 9, move('1', '2'), { isDone: false, responses: [{ value: '3' }] }],
      ['z', 2, 9, move('1', '3'), { isDone: true }],
    ],
  };
  for (const [name, rows] of Object.entries(good)) it(`accepts: ${name}`, () => assert.ok(check(rows)));

  const bad: Readonly<Record<string, readonly Row[]>> = {
    'half of a transaction is seen': [
      ['x', 0, 1, put('a', '1'), {}],
      ['x', 2, 9, move('1', '2'), { isDone: true }],
      ['y', 4, 5, both, saw('2', null)],
    ],
    'a single key beside them goes back': [
      ['x', 0, 1, put('a', '1'), {}],
      ['x', 2, 3, move('1', '2'), { isDone: true }],
      ['y', 4, 5, put('c', '1'), {}],
      ['y', 6, 7, put('c', '2'), {}],
      ['z', 8, 9, get('c'), { value: '1' }],
    ],
    'both of two win': [
      ['x', 0, 1, put('a', '1'), {}],
      ['x', 2, 9, move('1', '2'), { isDone: true }],
      ['z', 2, 9, move('1', '3'), { isDone: true }],
    ],
    'a branch reads what was overwritten before': [
      ['x', 0, 1, put('b', '1'), {}],
      ['x', 2, 3, put('b', '2'), {}],
      ['y', 4, 5, move('9', '3'), { isDone: false, responses: [{ value: '1' }] }],
    ],
    'two keys are read at different moments': [
      ['x', 0, 1, put('a', '1'), {}],
      ['x', 2, 3, move('1', '2'), { isDone: true }],
      ['x', 4, 9, move('2', '3'), { isDone: true }],
      ['y', 5, 6, both, saw('3', '2')],
    ],
  };
  for (const [name, rows] of Object.entries(bad)) it(`refuses: ${name}`, () => assert.ok(!check(rows)));

  it('decides a long history with many unknown outcomes, and one that lost an update at its end', () => {
    const rows: Row[] = [['x', 0, 1, put('a', 'v0'), {}]];
    for (let at = 1; at <= 150; at += 1) {
      const atMs = at * 10;
      rows.push(['x', atMs, atMs + 4, move(`v${at - 1}`, `v${at}`), { isDone: true }]);
      rows.push(['y', atMs + 2, atMs + 6, both, saw(`v${at}`, `v${at}`)]);
      if (at % 5 === 0) rows.push(['z', atMs, atMs, put('b', `lost ${at}`), 'unknown']);
    }
    assert.ok(check(rows));
    assert.ok(!check([...rows, ['y', 2_000, 2_001, both, saw('v149', 'v150')]]));
  });

  it('keeps keys apart that no transaction joins', () => {
    const partitionOf = kvPartitions([move('1', '2'), get('c'), get('d')]);
    assert.equal(partitionOf(get('a')), partitionOf(put('b', '1')));
    assert.equal(new Set([get('a'), get('c'), get('d')].map(partitionOf)).size, 3);
  });
});
