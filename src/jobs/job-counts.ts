import { CountsBy, Histogram, type MetricFamily } from '../base/index.ts';
import type { Fact } from './machine-port.ts';
import type { JobRecord } from './record.ts';

/** From a submission to the first attempt, and of one whole job. Unit: s. */
const WAIT_BOUNDS_S = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1_800, 7_200];

/**
 * Counts what became of jobs, from the facts that every replica hears as it applies the log: the same on all that were up all the time. A
 * node that holds no replica hears nothing and counts nothing.
 *
 * - O1 Counting takes from each fact what is there already: nothing is read, encoded or allocated for it.
 */
export class JobCounts {
  #submitted = 0;
  #retried = 0;
  readonly #finished = new CountsBy();
  readonly #waits = new Histogram(WAIT_BOUNDS_S);
  readonly #lives = new Histogram(WAIT_BOUNDS_S);

  readonly onFacts = (facts: readonly Fact[]): void => {
    for (const fact of facts) if (fact.module === 'jobs') this.#count(fact);
  };

  families(): MetricFamily[] {
    const counter = (name: string, help: string, value: number): MetricFamily => ({
      name,
      help,
      type: 'counter',
      samples: [{ labels: {}, value }],
    });
    return [
      counter('aspen_jobs_submitted_total', 'Jobs that this replica saw submitted.', this.#submitted),
      counter('aspen_job_attempts_repeated_total', 'Attempts after the first of a job.', this.#retried),
      {
        name: 'aspen_jobs_finished_total',
        help: 'Jobs that this replica saw become final, by how they ended.',
        type: 'counter',
        samples: this.#finished.samples('state'),
      },
      {
        name: 'aspen_job_start_wait_seconds',
        help: 'From submission to the assignment of the first attempt, by the wall clocks of the leaders.',
        type: 'histogram',
        samples: [this.#waits.sample()],
      },
      {
        name: 'aspen_job_duration_seconds',
        help: 'From submission to the final state, by the wall clocks of the leaders.',
        type: 'histogram',
        samples: [this.#lives.sample()],
      },
    ];
  }

  #count({ type, before, record: foreign }: Fact): void {
    if (type !== 'changed' && type !== 'final') return;
    const record = foreign as JobRecord;
    if (before === null) this.#submitted += 1;
    if (type === 'final') {
      this.#finished.add(record.state);
      if (record.finishedAt !== null) this.#lives.observe((record.finishedAt - record.submittedAt) / 1_000);
    } else if (record.state === 'running' && before !== 'running' && record.running !== null) {
      if (record.attempt > 1) this.#retried += 1;
      else this.#waits.observe((record.running.startedAt - record.submittedAt) / 1_000);
    }
  }
}
