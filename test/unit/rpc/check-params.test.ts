import assert from 'node:assert/strict';
import type { AspenError } from '../../../src/base/index.ts';
import { checkJobSpec, checkParams, METHODS, type MethodName, nearestName } from '../../../src/rpc/index.ts';
import { MUTATING_METHODS } from '../../../src/rpc/os-client.ts';

function issuesOf(work: () => unknown): readonly { path: string; message: string }[] {
  try {
    work();
  } catch (error) {
    const { code, details, outcome } = error as AspenError;
    assert.deepEqual([code, outcome], ['INVALID_PARAMS', 'not-applied']);
    return details.issues ?? [];
  }
  return assert.fail('it was taken');
}

describe('the params of a method', () => {
  const hidden: readonly [method: MethodName, params: string, path: string][] = [
    ['job.submit', '{"type":"x","payload":{"__proto__":1}}', 'payload.__proto__'],
    ['job.submit', '{"type":"x","payload":{"a":[1,{"\\u005f_proto__":{}}]}}', 'payload.a[1].__proto__'],
    ['job.submit', '{"type":"x","payload":[[{"__proto__":1}]]}', 'payload[0][0].__proto__'],
    ['job.submit', '{"type":"x","labels":{"__proto__":"a"}}', 'labels.__proto__'],
    ['job.submit', '{"type":"x","__proto__":"a"}', '__proto__'],
    [
      'job.submit',
      '{"type":"shell","payload":{"command":"a","env":{"__proto__":"a"}}}',
      'payload.env.__proto__',
    ],
    ['job.submit', '{"type":"x","affinity":{"require":{"__proto__":"a"}}}', 'affinity.require.__proto__'],
    ['kv.put', '{"key":"a","value":"b","__proto__":"a"}', '__proto__'],
  ];
  for (const [method, params, path] of hidden) {
    it(`are refused where a field would be lost without a word: ${method} ${params}`, () => {
      const issues = issuesOf(() => checkParams(method, JSON.parse(params)));
      assert.deepEqual(
        issues.map((issue) => issue.path),
        [path],
      );
    });
  }

  it('of many jobs are refused only where a field would be lost', () => {
    const jobs = JSON.parse('[{"type":"x","payload":{"a":1}},{"type":"x","payload":{"__proto__":1}}]');
    checkParams('job.submitMany', { jobs });
    checkJobSpec(jobs[0]);
    assert.deepEqual(
      issuesOf(() => checkJobSpec(jobs[1])).map(({ path }) => path),
      ['payload.__proto__'],
    );
  });

  it('may speak of such a name as a value', () => {
    checkParams('job.submit', { type: '__proto__', payload: { a: '__proto__' } });
  });

  const wrong: readonly { spec: unknown; path: string; says: RegExp }[] = [
    {
      spec: { type: 'x', pririty: 3 },
      path: 'pririty',
      says: /^unknown key "pririty"; did you mean "priority"\?$/,
    },
    { spec: { type: 'x', frobnicate: 1 }, path: 'frobnicate', says: /^unknown key "frobnicate"$/ },
    { spec: { type: 'x', retry: { maxAttempt: 3 } }, path: 'retry.maxAttempt', says: /"maxAttempts"/ },
    { spec: { type: 'x', retry: { maxAttempts: 'three' } }, path: 'retry.maxAttempts', says: /number/ },
    { spec: { type: 'x', retry: { backoff: [1, 'a'] } }, path: 'retry.backoff[1]', says: /number/ },
    { spec: { type: 'x', timeoutMs: '10s' }, path: 'timeoutMs', says: /number/ },
    { spec: { type: 7 }, path: 'type', says: /string/ },
    { spec: {}, path: 'type', says: /^is missing, expected string$/ },
    { spec: { type: 'x', priority: 11 }, path: 'priority', says: /10/ },
    { spec: { type: 'x', priority: 'urgent' }, path: 'priority', says: /critical/ },
    {
      spec: { type: 'x', affinity: { require: { zone: 1 } } },
      path: 'affinity.require.zone',
      says: /string/,
    },
    { spec: { type: 'x', affinity: { nod: {} } }, path: 'affinity.nod', says: /"node"/ },
    { spec: { type: 'x', offline: { holdMs: -1 } }, path: 'offline.holdMs', says: /0/ },
    { spec: { type: 'x', offline: { hold: 1 } }, path: 'offline.hold', says: /"holdMs"/ },
    { spec: { type: 'x', offline: { submit: 'run' } }, path: 'offline.submit', says: /not supported yet/ },
    { spec: { type: 'x', affinity: { data: ['b'] } }, path: 'affinity.data[0]', says: /blob id/ },
    { spec: { type: 'x', runAt: 'noon' }, path: 'runAt', says: /ISO 8601/ },
    { spec: { type: 'x', runAt: '2026-12-01T02:00' }, path: 'runAt', says: /zone/ },
    {
      spec: { type: 'x', runAt: '2026-02-30T02:00Z' },
      path: 'runAt',
      says: /day that its month does not have/,
    },
    {
      spec: { type: 'x', deadlineAt: '2027-02-29T00:00:00+01:00' },
      path: 'deadlineAt',
      says: /day that its month/,
    },
    { spec: { type: 'x', delayMs: Number.MAX_SAFE_INTEGER }, path: 'delayMs', says: /longer than 100 years/ },
    { spec: { type: 'x', delayMs: -1 }, path: 'delayMs', says: /0/ },
    { spec: { type: 'x', id: 'run_1' }, path: 'id', says: /job_/ },
    { spec: [], path: '', says: /object/ },
  ];
  for (const { spec, path, says } of wrong) {
    it(`name what is wrong with ${JSON.stringify(spec)}: ${path}`, () => {
      const issue = issuesOf(() => checkJobSpec(spec)).find((candidate) => candidate.path === path);
      assert.match(issue?.message ?? 'no issue there', says);
    });
  }

  it('name every unknown key, each with its own path', () => {
    const issues = issuesOf(() => checkJobSpec({ type: 'x', labls: {}, payloads: 1 }));
    assert.deepEqual(
      issues.map(({ path }) => path),
      ['labls', 'payloads'],
    );
  });

  it('take a spec that uses all there is', () => {
    const spec = {
      type: 'shell',
      payload: { command: 'true', args: ['a'] },
      id: 'job_01k9z3',
      idempotencyKey: 'k',
      queue: 'default',
      priority: 'high',
      runAt: '2026-12-01T02:00Z',
      timeoutMs: 1_000,
      retry: {
        maxAttempts: 3,
        backoff: [10, 20],
        delayMs: 5,
        maxDelayMs: 50,
        jitter: 'none',
        nonRetryableExitCodes: [2],
      },
      affinity: {
        node: { peerId: '12D3KooW', mode: 'prefer' },
        require: { zone: 'eu' },
        prefer: {},
        avoid: { node: 'x' },
        key: 'k',
        strategy: 'spread',
        waitMs: 0,
      },
      offline: { running: 'keep', holdMs: 'auto' },
      labels: { team: 'web' },
      traceparent: '00-1-2-01',
      retentionMs: 1,
      requireMesh: true,
    };
    assert.deepEqual(checkParams('job.submit', { ...spec, requestId: 'r' }), { ...spec, requestId: 'r' });
  });

  it('may be left out where nothing is needed', () => {
    assert.deepEqual(checkParams('agent.status', undefined), {});
  });

  for (const none of [undefined, null, [], {}]) {
    it(`may be ${JSON.stringify(none)} where there are none`, () =>
      assert.deepEqual(checkParams('agent.status', none), {}));
  }

  it('by position are refused', () => {
    assert.match(issuesOf(() => checkParams('job.get', ['last']))[0]?.message ?? '', /expected object/);
  });

  it('of every mutating method take a request id of 1 to 128 characters, and of no other', () => {
    for (const name of Object.keys(METHODS) as MethodName[]) {
      const ids = [{ requestId: '' }, { requestId: 'x'.repeat(129) }, { requestId: 'fine' }].map((params) => {
        const result = METHODS[name].params.safeParse(params);
        return (
          result.success || !result.error.issues.some((issue) => JSON.stringify(issue).includes('requestId'))
        );
      });
      assert.deepEqual(ids, METHODS[name].isMutating ? [false, false, true] : [false, false, false], name);
    }
  });

  it('are told apart as mutating by the list that clients carry', () => {
    const mutating = (Object.keys(METHODS) as MethodName[]).filter((name) => METHODS[name].isMutating);
    assert.deepEqual([...MUTATING_METHODS].sort(), mutating.sort());
  });
});

describe('the nearest name', () => {
  const known = ['priority', 'payload', 'queue', 'job.submit'];
  for (const [name, nearest] of [
    ['pririty', 'priority'],
    ['Priority', 'priority'],
    ['pyaload', 'payload'],
    ['job.submitt', 'job.submit'],
    ['queues', 'queue'],
    ['zebra', undefined],
    ['', undefined],
  ] as const) {
    it(`of "${name}" is ${nearest}`, () => assert.equal(nearestName(name, known), nearest));
  }
});
