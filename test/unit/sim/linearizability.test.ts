import assert from 'node:assert/strict';
import fc from 'fast-check';
import { randomInt, SeededRandom } from '../../../src/base/index.ts';
import {
  checkLinearizable,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
  registerPartition,
} from '../../sim/check/index.ts';

type Op = Operation<RegisterInput, RegisterOutput>;
type Answer = RegisterOutput | 'unknown';

/** `[client, calledMs, returnedMs, input, output]`. */
type Row = readonly [string, number, number, RegisterInput, Answer];

const get = (key = 'k'): RegisterInput => ({ type: 'get', key });
const put = (value: string, key = 'k'): RegisterInput => ({ type: 'put', key, value });
const remove = (key = 'k'): RegisterInput => ({ type: 'delete', key });
const cas = (expected: string | null, value: string): RegisterInput => ({
  type: 'cas',
  key: 'k',
  expected,
  value,
});
const casRevision = (expected: number, value: string): RegisterInput => ({
  type: 'casRevision',
  key: 'k',
  expected,
  value,
});

function operation([client, calledMs, atMs, input, output]: Row): Op {
  return output === 'unknown'
    ? { client, calledMs, input }
    : { client, calledMs, input, result: { output, atMs } };
}

const isLinearizable = (rows: readonly Row[]) =>
  checkLinearizable(rows.map(operation), registerModel, { partitionOf: registerPartition }).isLinearizable;

describe('linearizability checker', () => {
  const good: Readonly<Record<string, readonly Row[]>> = {
    'nothing happened': [],
    'a read while a write is under way sees either': [
      ['a', 0, 10, put('1'), {}],
      ['b', 1, 2, get(), { value: null }],
      ['c', 3, 4, get(), { value: '1' }],
    ],
    'a write of unknown outcome takes effect late': [
      ['a', 0, 0, put('1'), 'unknown'],
      ['b', 5, 6, get(), { value: null }],
      ['b', 50, 60, get(), { value: '1' }],
    ],
    'a write of unknown outcome never takes effect': [
      ['a', 0, 0, put('1'), 'unknown'],
      ['b', 5, 6, put('2'), {}],
      ['b', 50, 60, get(), { value: '2' }],
    ],
    'two unknown writes explain what was seen only in one order': [
      ['a', 0, 0, cas('1', '2'), 'unknown'],
      ['b', 1, 1, put('1'), 'unknown'],
      ['c', 5, 6, get(), { value: '2' }],
    ],
    'one of two concurrent comparisons wins': [
      ['a', 0, 10, cas(null, 'a'), { isDone: true }],
      ['b', 0, 10, cas(null, 'b'), { isDone: false }],
      ['c', 11, 12, get(), { value: 'a' }],
    ],
    'revisions grow with the writes': [
      ['a', 0, 1, put('1'), { revision: 3 }],
      ['a', 2, 3, casRevision(3, '2'), { isDone: true, revision: 7 }],
      ['b', 4, 5, get(), { value: '2', revision: 7 }],
      ['b', 6, 7, remove(), { isDone: true, revision: 8 }],
      ['a', 8, 9, casRevision(0, '3'), { isDone: true, revision: 9 }],
    ],
    'the revision of an unknown write is learnt from a read': [
      ['a', 0, 0, put('1'), 'unknown'],
      ['b', 2, 3, get(), { value: '1', revision: 4 }],
      ['b', 4, 5, casRevision(4, '2'), { isDone: true, revision: 5 }],
    ],
    'keys do not affect each other': [
      ['a', 0, 1, put('1', 'x'), {}],
      ['a', 2, 3, get('y'), { value: null }],
      ['a', 4, 5, remove('x'), { isDone: true }],
    ],
  };
  const bad: Readonly<Record<string, readonly Row[]>> = {
    'a stale read': [
      ['a', 0, 1, put('1'), {}],
      ['b', 2, 3, get(), { value: null }],
    ],
    'a lost update': [
      ['a', 0, 1, put('1'), {}],
      ['a', 2, 3, put('2'), {}],
      ['b', 4, 5, get(), { value: '1' }],
    ],
    'two leaders let both comparisons win': [
      ['a', 0, 10, cas(null, 'a'), { isDone: true }],
      ['b', 0, 10, cas(null, 'b'), { isDone: true }],
    ],
    'a read that goes back while the write is still under way': [
      ['a', 0, 100, put('1'), {}],
      ['b', 1, 2, get(), { value: '1' }],
      ['b', 3, 4, get(), { value: null }],
    ],
    'a read that goes back after a write of unknown outcome': [
      ['a', 0, 0, put('1'), 'unknown'],
      ['b', 1, 2, get(), { value: '1' }],
      ['b', 3, 4, get(), { value: null }],
    ],
    'a value from nowhere': [['a', 0, 1, get(), { value: '9' }]],
    'a write seen before it was called': [
      ['b', 0, 1, get(), { value: '1' }],
      ['a', 2, 3, put('1'), {}],
    ],
    'a revision that goes back': [
      ['a', 0, 1, put('1'), { revision: 5 }],
      ['a', 2, 3, put('2'), { revision: 4 }],
    ],
    'a comparison with an old revision that wins': [
      ['a', 0, 1, put('1'), { revision: 5 }],
      ['a', 2, 3, put('2'), { revision: 6 }],
      ['b', 4, 5, casRevision(5, '3'), { isDone: true, revision: 7 }],
    ],
    'a value deleted twice': [
      ['a', 0, 1, put('1'), {}],
      ['a', 2, 3, remove(), { isDone: true }],
      ['b', 4, 5, remove(), { isDone: true }],
    ],
  };

  for (const [name, rows] of Object.entries(good))
    it(`accepts: ${name}`, () => assert.ok(isLinearizable(rows)));
  for (const [name, rows] of Object.entries(bad))
    it(`refuses: ${name}`, () => assert.ok(!isLinearizable(rows)));

  it('tells what could not be placed', () => {
    const verdict = checkLinearizable((bad['a stale read'] as Row[]).map(operation), registerModel);
    assert.ok(!verdict.isLinearizable);
    assert.match(verdict.story.join('\n'), /put k .*\n.*none of:\n {2}b 2\.\.3 ms: get k/);
  });

  it('agrees with trying every order and every subset of the unknown', () => {
    const value = fc.constantFrom('1', '2');
    const call = fc.oneof(
      fc.record({ input: fc.constant(get()), output: fc.record({ value: fc.option(value) }) }),
      fc.record({ input: value.map((v) => put(v)), output: fc.constant({}) }),
      fc.record({ input: fc.constant(remove()), output: fc.record({ isDone: fc.boolean() }) }),
      fc.record({
        input: fc.tuple(fc.option(value), value).map(([expected, v]) => cas(expected, v)),
        output: fc.record({ isDone: fc.boolean() }),
      }),
    );
    const row = fc.tuple(call, fc.nat(12), fc.nat(8), fc.boolean(), fc.boolean());
    let linearizable = 0;
    fc.assert(
      fc.property(fc.array(row, { maxLength: 5 }), (drawn) => {
        const history = drawn.map(([{ input, output }, at, took, isLost, isReallyLost], client) => {
          const answer: Answer = isLost && isReallyLost ? 'unknown' : output;
          return operation([`c${client}`, at, at + took, input, answer]);
        });
        const expected = bruteForce(history);
        linearizable += Number(expected);
        assert.equal(checkLinearizable(history, registerModel).isLinearizable, expected);
      }),
      { numRuns: 3_000 },
    );
    assert.ok(linearizable > 300 && linearizable < 2_900, `one-sided: ${linearizable}`);
  });

  it('decides thousands of operations on one key in some dozens of steps for each, good ones and one with a stale read at the end', () => {
    const history = concurrentHistory({ seed: 1, count: 4_000, clients: 8, unknownShare: 0.01 });
    const limits = { stepsLimit: 60 * history.length };
    assert.ok(checkLinearizable(history, registerModel, limits).isLinearizable);
    const last = Math.max(...history.map(({ calledMs, result }) => result?.atMs ?? calledMs));
    const certain = history.filter(({ result }) => result !== undefined);
    const bad: Op[] = [
      ...certain,
      operation(['w', last + 1, last + 2, put('new'), {}]),
      operation(['r', last + 3, last + 4, get(), { value: 'first' }]),
    ];
    assert.ok(
      !checkLinearizable(bad.filter(isNotAboutUnknown(history)), registerModel, limits).isLinearizable,
    );
  });
});

/** Operations of clients that take effect at a moment between call and return; some answers get lost. */
function concurrentHistory({
  seed,
  count,
  clients,
  unknownShare,
}: {
  readonly seed: number;
  readonly count: number;
  readonly clients: number;
  readonly unknownShare: number;
}): Op[] {
  const random = new SeededRandom(seed);
  const free = Array.from({ length: clients }, () => 0);
  const calls = Array.from({ length: count }, (_, at) => {
    const client = at % clients;
    const calledMs = (free[client] as number) + randomInt(random, { from: 1, to: 10 });
    const effectMs = calledMs + random.uint32() / 2 ** 30;
    const atMs = effectMs + random.uint32() / 2 ** 30;
    free[client] = atMs;
    const input = randomInt(random, { from: 0, to: 2 }) === 0 ? get() : put(`v${at}`);
    return {
      client: `c${client}`,
      input,
      calledMs,
      effectMs,
      atMs,
      isLost: random.uint32() < unknownShare * 2 ** 32,
    };
  });
  let current: string | null = null;
  return calls
    .sort((left, right) => left.effectMs - right.effectMs)
    .map(({ client, input, calledMs, atMs, isLost }) => {
      if (input.type === 'put') current = input.value;
      const output = input.type === 'get' ? { value: current } : {};
      return isLost ? { client, input, calledMs } : { client, input, calledMs, result: { output, atMs } };
    });
}

/** Without the unknown writes, reads of their values would be wrong for another reason than the one under test. */
function isNotAboutUnknown(history: readonly Op[]): (operation: Op) => boolean {
  const unknown = new Set(
    history.flatMap(({ input, result }) =>
      result === undefined && input.type === 'put' ? [input.value] : [],
    ),
  );
  return ({ result }) => typeof result?.output.value !== 'string' || !unknown.has(result.output.value);
}

/** The definition itself: some subset of the unknown, in some order that respects real time, is a run of the model. */
function bruteForce(
  history: readonly Op[],
  placed: readonly Op[] = [],
  state = registerModel.initial,
): boolean {
  const left = history.filter((each) => !placed.includes(each));
  if (left.every(({ result }) => result === undefined)) return true;
  return left.some((each) => {
    const mustWait = left.some(({ result }) => result !== undefined && result.atMs < each.calledMs);
    if (mustWait) return false;
    const next = registerModel.step(state, each.input, each.result?.output);
    return next !== undefined && bruteForce(history, [...placed, each], next);
  });
}
