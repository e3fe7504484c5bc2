import assert from 'node:assert/strict';
import type { MetricFamily } from '../../../src/base/index.ts';
import { JobCounts } from '../../../src/jobs/index.ts';

describe('the counts of jobs', () => {
  const fact = (before: string | null, record: object, type = 'changed') => ({
    module: 'jobs',
    type,
    before,
    record: { submittedAt: 1_000, attempt: 0, running: null, finishedAt: null, ...record },
  });
  const numbers = (families: readonly MetricFamily[]) =>
    Object.fromEntries(
      families.flatMap(({ name, samples }) =>
        samples.map((sample) => [
          [name, ...Object.values(sample.labels)].join(' '),
          'value' in sample ? sample.value : sample.count,
        ]),
      ),
    );

  it('follow each job from its submission to its end', () => {
    const counts = new JobCounts();
    counts.onFacts([
      fact(null, { state: 'queued' }),
      fact('queued', { state: 'running', attempt: 1, running: { startedAt: 1_020 } }),
      fact('running', { state: 'scheduled', attempt: 1 }),
      fact('scheduled', { state: 'running', attempt: 2, running: { startedAt: 2_000 } }),
      fact('running', { state: 'succeeded', attempt: 2, finishedAt: 3_000 }, 'final'),
      fact(null, { state: 'queued' }),
      fact('queued', { state: 'cancelled', finishedAt: 1_500 }, 'final'),
      { module: 'kv', type: 'changed' },
      { module: 'jobs', type: 'limits', key: 'x' },
    ]);
    assert.deepEqual(numbers(counts.families()), {
      aspen_jobs_submitted_total: 2,
      aspen_job_attempts_repeated_total: 1,
      'aspen_jobs_finished_total succeeded': 1,
      'aspen_jobs_finished_total cancelled': 1,
      aspen_job_start_wait_seconds: 1,
      aspen_job_duration_seconds: 2,
    });
  });
});
