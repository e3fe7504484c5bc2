import assert from 'node:assert/strict';
import {
  brokenJobs,
  brokenRegisters,
  brokenTransactions,
  type FinalJob,
  lostElements,
  type RegisterOperation,
  staleReads,
} from '../../lab/checks.ts';
import type { KvInput, KvOutput, Operation } from '../../sim/check/index.ts';

const KEY = 'k';

function put(value: string, calledMs: number, atMs?: number, revision = 1): RegisterOperation {
  const call = { client: 'w', input: { type: 'put', key: KEY, value }, calledMs } as const;
  return atMs === undefined ? call : { ...call, result: { atMs, output: { revision } } };
}

function get(value: string | null, calledMs: number, revision?: number): RegisterOperation {
  const output = revision === undefined ? { value } : { value, revision };
  return { client: 'r', input: { type: 'get', key: KEY }, calledMs, result: { atMs: calledMs + 1, output } };
}

describe('the check of registers', () => {
  it('accepts reads that see the writes before them', () => {
    const history = [put('a', 0, 1, 1), get('a', 2, 1), put('b', 4, 5, 2), get('b', 6, 2)];
    assert.deepEqual(brokenRegisters(history), []);
    assert.deepEqual(staleReads(history), []);
  });

  it('finds a read that misses a write acknowledged before it', () => {
    const history = [put('a', 0, 1, 1), put('b', 2, 3, 2), get('a', 4, 1)];
    assert.equal(brokenRegisters(history).length, 1);
    assert.match(staleReads(history)[0] ?? '', /read revision 1 of k .* after 2/);
  });

  it('finds a read of nothing after an acknowledged write', () => {
    const history = [put('a', 0, 1, 1), get(null, 2)];
    assert.equal(brokenRegisters(history).length, 1);
    assert.equal(staleReads(history).length, 1);
  });

  it('takes a write without an answer for one that may or may not have happened', () => {
    assert.deepEqual(brokenRegisters([put('a', 0, 1, 1), put('b', 2), get('b', 9, 2)]), []);
    assert.deepEqual(brokenRegisters([put('a', 0, 1, 1), put('b', 2), get('a', 9, 1)]), []);
  });

  it('finds a write that is seen and then unseen again', () => {
    const history = [put('a', 0, 1, 1), put('b', 2), get('b', 9, 2), get('a', 12, 1)];
    assert.equal(brokenRegisters(history).length, 1);
  });

  it('finds two compare-and-swaps that both took the same value', () => {
    const cas = (client: string, value: string, calledMs: number, revision: number): RegisterOperation => ({
      client,
      input: { type: 'cas', key: KEY, expected: 'a', value },
      calledMs,
      result: { atMs: calledMs + 5, output: { isDone: true, revision } },
    });
    assert.equal(brokenRegisters([put('a', 0, 1, 1), cas('x', 'b', 2, 2), cas('y', 'c', 3, 3)]).length, 1);
  });
});

describe('the check of transactions', () => {
  const at = (calledMs: number, input: KvInput, output: KvOutput): Operation<KvInput, KvOutput> => ({
    client: 'x',
    input,
    calledMs,
    result: { atMs: calledMs + 1, output },
  });
  const both = (value: string): KvInput => ({
    type: 'transaction',
    compare: [],
    success: ['a', 'b'].map((key) => ({ type: 'put', key, value })),
    failure: [],
  });
  const read: KvInput = {
    type: 'transaction',
    compare: [],
    success: ['a', 'b'].map((key) => ({ type: 'get', key })),
    failure: [],
  };
  const seen = (...values: string[]): KvOutput => ({
    isDone: true,
    responses: values.map((value) => ({ value })),
  });

  it('accepts what is changed together and seen together', () => {
    const history = [at(0, both('1'), { isDone: true }), at(2, read, seen('1', '1'))];
    assert.deepEqual(brokenTransactions(history), []);
  });

  it('finds a read of half a transaction', () => {
    const done = { isDone: true };
    const history = [at(0, both('1'), done), at(2, both('2'), done), at(4, read, seen('2', '1'))];
    assert.match(brokenTransactions(history).join(), /is not linearizable/);
  });
});

describe('the check of the growing set', () => {
  it('finds an acknowledged element that one agent lacks', () => {
    const found = new Map([
      ['n0', new Set(['a', 'b'])],
      ['n1', new Set(['a'])],
    ]);
    assert.deepEqual(lostElements(['a', 'b'], found), ['b was acknowledged and is not on n1']);
  });

  it('does not pass when nobody was asked', () => {
    assert.equal(lostElements([], new Map()).length, 1);
  });
});

describe('the check of jobs', () => {
  const past = (attempt: number, fencingToken: number, outcome: string) => ({
    attempt,
    fencingToken,
    outcome,
  });
  const good: FinalJob = {
    id: 'j',
    state: 'succeeded',
    attempt: 2,
    fencingToken: 9,
    history: [past(1, 5, 'lost'), past(2, 9, 'succeeded')],
  };
  const ran = [
    { job: 'j', attempt: 1, token: 5 },
    { job: 'j', attempt: 2, token: 9 },
  ];
  const check = (job: FinalJob | undefined, executions = ran): string[] =>
    brokenJobs(['j'], new Map([['n0', new Map(job === undefined ? [] : [['j', job]])]]), executions);

  it('accepts a job that was lost once and then succeeded', () => {
    assert.deepEqual(check(good), []);
  });

  it('finds an accepted job that is nowhere, or has not ended', () => {
    assert.match(check(undefined)[0] ?? '', /nowhere/);
    assert.match(check({ ...good, state: 'running', history: [] })[0] ?? '', /is running/);
  });

  it('finds two attempts that succeeded', () => {
    const history = [past(1, 5, 'succeeded'), past(2, 9, 'succeeded')];
    assert.match(check({ ...good, history }).join(), /2 attempts that succeeded/);
  });

  it('finds an old attempt that completed after another began', () => {
    const history = [past(1, 5, 'succeeded'), past(2, 9, 'lost')];
    assert.match(check({ ...good, history }).join(), /went on after that/);
  });

  it('finds tokens that do not grow', () => {
    const history = [past(1, 9, 'lost'), past(2, 9, 'succeeded')];
    assert.match(check({ ...good, history }).join(), /fencingToken is 9 after 9/);
  });

  it('finds an attempt that was started twice, and a success that never ran', () => {
    assert.match(check(good, [...ran, ...ran.slice(1)]).join(), /started twice/);
    assert.match(check(good, ran.slice(0, 1)).join(), /never ran/);
  });

  it('finds agents that tell different ends', () => {
    const other = { ...good, state: 'dead' };
    const seen = new Map([
      ['n0', new Map([['j', good]])],
      ['n1', new Map([['j', other]])],
    ]);
    assert.match(brokenJobs(['j'], seen, ran).join(), /told differently by n1/);
  });
});
