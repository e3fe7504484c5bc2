import assert from 'node:assert/strict';
import { AspenError, decode, encode } from '../../../src/base/index.ts';
import { resolveJobSpec } from '../../../src/jobs/index.ts';
import { packSpec } from '../../../src/jobs/packing.ts';
import { PAYLOAD_DEPTH_LIMIT } from '../../../src/jobs/shallow.ts';
import { checkedSpec } from '../../../src/jobs/spec-check.ts';
import { DEPENDENCIES_LIMIT } from '../../../src/jobs/spec-fields.ts';
import { PAYLOAD_BYTES_LIMIT } from '../../../src/jobs/spec-input.ts';

function refusal(input: object): AspenError {
  try {
    resolveJobSpec(input);
  } catch (error) {
    if (error instanceof AspenError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: 'the spec was not refused' });
}

function nested(depth: number): unknown {
  let value: unknown = 1;
  for (let level = 0; level < depth; level += 1) value = level % 2 === 0 ? [value] : { value };
  return value;
}

describe('a job spec', () => {
  const refused: [why: string, input: object, path: string][] = [
    ['without a type', {}, 'type'],
    ['with an unknown key', { type: 'echo', pritority: 3 }, ''],
    ['with an id that is none', { type: 'echo', id: '7' }, 'id'],
    ['with a priority out of bounds', { type: 'echo', priority: 11 }, 'priority'],
    ['with a negative delay', { type: 'echo', delayMs: -1 }, 'delayMs'],
    ['with no attempt at all', { type: 'echo', retry: { maxAttempts: 0 } }, 'retry.maxAttempts'],
    [
      'with an unknown key far inside',
      { type: 'echo', affinity: { node: { peerId: 'p', mod: 1 } } },
      'affinity.node',
    ],
    [
      'with a comparison without a number',
      { type: 'echo', affinity: { require: { cpus: '>=many' } } },
      'affinity.require.cpus',
    ],
    ['with a label that is no text', { type: 'echo', labels: { a: 1 } }, 'labels.a'],
    [
      'with too many labels',
      { type: 'echo', labels: Object.fromEntries(Array.from({ length: 65 }, (_, at) => [`l${at}`, ''])) },
      'labels',
    ],
    ['with an instant that is none', { type: 'echo', runAt: 'soon' }, 'runAt'],
    [
      'with an exit code that no process has',
      { type: 'echo', retry: { nonRetryableExitCodes: [256] } },
      'retry.nonRetryableExitCodes.0',
    ],
    [
      'with a key longer than an index holds',
      { type: 'echo', idempotencyKey: 'é'.repeat(600) },
      'idempotencyKey',
    ],
    ['with a date before 1970', { type: 'echo', runAt: -1 }, 'runAt'],
    ['with a date beyond all calendars', { type: 'echo', runAt: 9e15 }, 'runAt'],
    [
      'with a deadline beyond the year 9999',
      { type: 'echo', deadlineAt: '+010000-01-01T00:00Z' },
      'deadlineAt',
    ],
    ['with a deadline that is no instant', { type: 'echo', deadlineAt: 'never' }, 'deadlineAt'],
    ['with a deadline of another type', { type: 'echo', deadlineAt: true }, 'deadlineAt'],
    ['due when its deadline is over', { type: 'echo', runAt: 2_000, deadlineAt: 2_000 }, 'deadlineAt'],
    ['with no time in the queue', { type: 'echo', queueTimeoutMs: 0 }, 'queueTimeoutMs'],
    ['with a heartbeat that is no number', { type: 'echo', heartbeatTimeoutMs: '30s' }, 'heartbeatTimeoutMs'],
    ['with a parent that is no id', { type: 'echo', dependsOn: ['7'] }, 'dependsOn.0'],
    ['with one parent and no list', { type: 'echo', dependsOn: 'job_a' }, 'dependsOn'],
    ['with an unknown condition', { type: 'echo', dependsOn: [{ id: 'job_a', on: 'maybe' }] }, 'dependsOn.0'],
    [
      'with a parent named twice',
      { type: 'echo', dependsOn: ['job_a', { id: 'job_a', on: 'any' }] },
      'dependsOn',
    ],
    [
      'with more parents than a job may have',
      { type: 'echo', dependsOn: Array.from({ length: DEPENDENCIES_LIMIT + 1 }, (_, at) => `job_${at}`) },
      'dependsOn',
    ],
    ['with an unknown policy', { type: 'echo', onDependencyFailure: 'pray' }, 'onDependencyFailure'],
    ['with a retry that is no object', { type: 'echo', retry: 3 }, 'retry'],
    ['with a pause that is negative', { type: 'echo', retry: { backoff: [10, -1] } }, 'retry.backoff.1'],
    ['nested too deeply', { type: 'echo', payload: nested(PAYLOAD_DEPTH_LIMIT + 1) }, 'payload'],
  ];
  for (const [why, input, path] of refused) {
    it(`${why} is refused, with the path`, () => {
      const { code, details } = refusal(input);
      assert.equal(code, 'INVALID_PARAMS');
      assert.deepEqual(
        details.issues?.map((issue) => issue.path),
        [path],
      );
    });
  }

  it('with several faults names each', () => {
    const { details } = refusal({ type: '', priority: 0, delayMs: 0.5 });
    assert.deepEqual(
      details.issues?.map(({ path }) => path),
      ['type', 'priority', 'delayMs'],
    );
  });

  it('with a payload over the limit is refused by the name of the limit, one at the limit is not', () => {
    const fitting = 'x'.repeat(PAYLOAD_BYTES_LIMIT - 2);
    assert.equal(resolveJobSpec({ type: 'echo', payload: fitting }).payload, fitting);
    const { code, details } = refusal({ type: 'echo', payload: `${fitting}x` });
    assert.deepEqual([code, details.limit], ['RESOURCE_EXHAUSTED', 'PAYLOAD_BYTES_LIMIT']);
  });

  const resolved: [why: string, input: object, field: string, value: unknown][] = [
    ['a word for a priority', { priority: 'critical' }, 'priority', 10],
    ['no priority', {}, 'priority', 5],
    ['an instant as a date', { runAt: '1970-01-01T00:00:01Z' }, 'runAtMs', 1_000],
    ['a hold shorter than the shortest', { offline: { holdMs: 1 } }, 'hold', 4_000],
    ['"keep"', { offline: 'keep' }, 'hold', 'keep'],
    ['{ running: "keep" }', { offline: { running: 'keep' } }, 'hold', 'keep'],
    ['nothing about being offline', {}, 'hold', 'auto'],
    ['no payload', {}, 'payload', null],
  ];
  for (const [why, input, field, value] of resolved) {
    it(`resolves ${why} to ${field} ${JSON.stringify(value)}`, () => {
      const spec: object = resolveJobSpec({ type: 'echo', ...input });
      assert.equal((spec as Record<string, unknown>)[field], value);
    });
  }

  it('cuts no pause that was written, where it bounds none', () => {
    const most = (retry: object) => resolveJobSpec({ type: 'echo', retry }).retry.maxDelayMs;
    assert.equal(most({}), 300_000);
    assert.equal(most({ backoff: [1, 600_000, 2] }), 600_000);
    assert.equal(most({ backoff: 'fixed', delayMs: 900_000 }), 900_000);
    assert.equal(most({ backoff: [600_000], maxDelayMs: 5 }), 5);
  });

  it('comes through the log as it was resolved', () => {
    const spec = resolveJobSpec({
      type: 'echo',
      payload: nested(PAYLOAD_DEPTH_LIMIT),
      idempotencyKey: 'k',
      affinity: { node: { peerId: 'p' }, key: 'k', near: 'r', avoid: { node: 'q' }, require: { m: '>=32' } },
      retry: { backoff: [1, 2] },
      labels: { a: 'b' },
    });
    assert.deepEqual(checkedSpec(decode(encode(packSpec(spec)))), spec);
  });

  it('comes through the log with all that is rare, and takes no more room without it', () => {
    const spec = resolveJobSpec({
      type: 'echo',
      queueTimeoutMs: 1,
      heartbeatTimeoutMs: 2,
      deadlineAt: '2030-01-01T00:00Z',
      dependsOn: ['job_a', { id: 'job_b', on: 'any' }],
      onDependencyFailure: 'block',
    });
    assert.deepEqual(checkedSpec(decode(encode(packSpec(spec)))), spec);
    assert.ok(packSpec(resolveJobSpec({ type: 'echo' })).length <= 16);
  });

  const rare = packSpec(resolveJobSpec({ type: 'echo', queueTimeoutMs: 1, dependsOn: ['job_a'] }));
  const foreign: [what: string, at: number, value: unknown][] = [
    ['a limit that is text', 16, 'soon'],
    ['a negative limit', 17, -1],
    ['an instant out of all bounds', 18, 1e300],
    ['parents that are no list', 19, 'job_a'],
    ['a parent that is no pair', 19, [7]],
    ['a parent whose id is none', 19, [['', 'any']]],
    ['a policy nobody knows', 20, 'pray'],
  ];
  for (const [what, at, value] of foreign) {
    it(`with ${what} is refused when it comes out of a log`, () => {
      assert.throws(() => checkedSpec(rare.with(at, value)), { code: 'INVALID_PARAMS' });
    });
  }
});
