import assert from 'node:assert/strict';
import { specView } from '../../../src/jobs/job-view.ts';
import { packSpec, unpackSpec } from '../../../src/jobs/packing.ts';
import { PLAIN_SPEC } from '../../../src/jobs/spec.ts';
import { resolveJobSpec } from '../../../src/jobs/spec-input.ts';
import { toldSpec } from '../../../src/jobs/told-spec.ts';

/** As the leader has it: out of the log or a table. */
const told = (input: object) => toldSpec(unpackSpec(packSpec(resolveJobSpec({ type: 'paint', ...input }))));

describe('what a worker is told of a spec', () => {
  it('is nothing where nothing was asked for', () => {
    assert.equal(told({}), undefined);
    assert.equal(
      told({ payload: { n: 1 }, timeoutMs: 5, heartbeatTimeoutMs: 5, traceparent: '00-a-b-01' }),
      undefined,
    );
    assert.equal(
      told({ retry: {}, affinity: {}, labels: {}, priority: 'normal', queue: 'default' }),
      undefined,
    );
  });

  const cases: readonly [given: Record<string, unknown>, shown?: Record<string, unknown>][] = [
    [{ labels: { team: 'ops' } }],
    [{ queue: 'slow' }],
    [{ namespace: 'web' }],
    [{ priority: 2 }],
    [{ idempotencyKey: 'once' }],
    [{ concurrencyKey: 'one' }],
    [{ delayMs: 5 }],
    [{ runAt: 5 }],
    [{ deadlineAt: 5 }],
    [{ queueTimeoutMs: 5 }],
    [{ retentionMs: 5 }],
    [{ group: { nodes: 2 } }],
    [{ offline: 'keep' }],
    [{ dependsOn: ['job_a'] }, { dependsOn: [{ id: 'job_a', on: 'success' }], onDependencyFailure: 'fail' }],
  ];
  for (const [given, shown = given] of cases) {
    it(`is ${Object.keys(given).join()} where that was asked for`, () =>
      assert.deepEqual(told(given), shown));
  }

  it('leaves out no field that job.get shows', () => {
    const everything = resolveJobSpec({
      type: 'paint',
      ...Object.assign({}, ...cases.map(([given]) => given)),
      deadlineAt: 50,
      retry: { maxAttempts: 5 },
      affinity: { prefer: { zone: 'a' } },
    });
    const shown = specView(everything);
    const line = { ...specView(PLAIN_SPEC), ...toldSpec(everything), type: 'paint' };
    assert.deepEqual(line, shown);
  });
});
