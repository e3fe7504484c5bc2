import assert from 'node:assert/strict';
import fc from 'fast-check';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

const QUEUES = ['default', 'a', 'aa'];
const NAMESPACES = ['default', 'team'];
const STATES = ['queued', 'running', 'succeeded', 'dead', 'cancelled', 'scheduled'] as const;

const job = fc.record({
  queue: fc.constantFrom(...QUEUES),
  namespace: fc.constantFrom(...NAMESPACES),
  state: fc.constantFrom(...STATES),
});

interface Wanted {
  readonly queue: string;
  readonly namespace: string;
  readonly state: string;
}

function bring(bench: JobsBench, id: string, { queue, namespace, state }: Wanted): void {
  const delay = state === 'scheduled' ? { delayMs: 1_000 } : {};
  bench.submit({ id, queue, namespace, retry: { maxAttempts: 1 }, ...delay });
  if (state === 'cancelled') bench.do('cancel', { id, reason: null });
  if (state === 'running') bench.assign(id);
  if (state === 'succeeded') bench.do('complete', { ...bench.assign(id), result: null });
  if (state === 'dead') bench.do('fail', { ...bench.assign(id), error: SOME_ERROR, result: null });
}

describe('listing by queue and namespace', () => {
  it('gives what a scan of all jobs gives, newest first, in pages of any length', () => {
    const filter = fc.record(
      {
        queue: fc.constantFrom(...QUEUES, 'none'),
        namespace: fc.constantFrom(...NAMESPACES, 'none'),
        state: fc.oneof(fc.constantFrom(...STATES), fc.array(fc.constantFrom(...STATES), { minLength: 1 })),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.array(job, { maxLength: 12 }),
        fc.array(filter, { minLength: 3, maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        (jobs, filters, limit) => {
          const bench = new JobsBench();
          jobs.forEach((one, at) => {
            bring(bench, `job_${at}`, one);
          });
          bench.checkIndexes();
          const newestFirst = bench.records().sort((left, right) => right.position - left.position);
          for (const wanted of filters) {
            const expected = newestFirst.filter(
              ({ spec, state }) =>
                (wanted.queue === undefined || spec.queue === wanted.queue) &&
                (wanted.namespace === undefined || spec.namespace === wanted.namespace) &&
                (wanted.state === undefined || ([wanted.state].flat() as string[]).includes(state)),
            );
            const listed: string[] = [];
            let cursor: string | undefined;
            do {
              const page = bench.list({ ...wanted, limit, ...(cursor !== undefined && { cursor }) });
              listed.push(...page.jobs.map(({ id }) => id));
              cursor = page.cursor;
            } while (cursor !== undefined);
            assert.deepEqual(
              listed,
              expected.map(({ id }) => id),
            );
          }
        },
      ),
      { numRuns: 150 },
    );
  });
});
