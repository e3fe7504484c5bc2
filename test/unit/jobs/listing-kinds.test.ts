import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { JobView } from '../../../src/jobs/index.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

const TYPES = ['a', 'aa', 'b'];
const LABELS: readonly Wanted['labels'][] = [
  {},
  { team: 'web' },
  { team: 'ops', 'a=b': '' },
  { team: 'web', tier: '1' },
];
const STATES = ['queued', 'running', 'succeeded', 'dead', 'cancelled', 'scheduled'] as const;

interface Wanted {
  readonly type: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly queue: string;
}

const job: fc.Arbitrary<Wanted> = fc.record({
  type: fc.constantFrom(...TYPES),
  labels: fc.constantFrom<Wanted['labels']>(...LABELS),
  queue: fc.constantFrom('default', 'q'),
});
/** Jobs of one command, what becomes of the first of them, and whether it is removed. */
const bulk = fc.record({
  jobs: fc.array(job, { minLength: 1, maxLength: 5 }),
  state: fc.constantFrom(...STATES),
  isRemoved: fc.boolean(),
});
const filter = fc.record(
  {
    type: fc.constantFrom(...TYPES, 'none'),
    label: fc.constantFrom('team', 'team=web', 'team=ops', 'tier=1', 'none', 'a', '__proto__'),
    queue: fc.constantFrom('default', 'q'),
    state: fc.oneof(fc.constantFrom(...STATES), fc.array(fc.constantFrom(...STATES), { minLength: 1 })),
  },
  { requiredKeys: [] },
);

function bring(bench: JobsBench, id: string, state: string): void {
  if (state === 'cancelled') bench.do('cancel', { id, reason: null });
  if (state === 'running') bench.assign(id);
  if (state === 'succeeded') bench.do('complete', { ...bench.assign(id), result: null });
  if (state === 'dead') bench.do('fail', { ...bench.assign(id), error: SOME_ERROR, result: null });
}

function hasLabel(labels: Wanted['labels'], label: string): boolean {
  const [name = '', value] = label.split('=');
  return Object.hasOwn(labels, name) && (value === undefined || labels[name] === value);
}

function listAll(bench: JobsBench, params: object): string[] {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = bench.list({ ...params, ...(cursor !== undefined && { cursor }) });
    ids.push(...page.jobs.map(({ id }) => id));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return ids;
}

describe('listing by type and label', () => {
  it('gives what a scan of all jobs gives, newest first, in pages of any length (L1)', () => {
    fc.assert(
      fc.property(
        fc.array(bulk, { maxLength: 8 }),
        fc.array(filter, { minLength: 3, maxLength: 6 }),
        fc.integer({ min: 1, max: 4 }),
        (bulks, filters, limit) => {
          const bench = new JobsBench();
          bulks.forEach(({ jobs, state, isRemoved }, at) => {
            const retry = { maxAttempts: 1 };
            const delay = state === 'scheduled' ? { delayMs: 1_000 } : {};
            const retentionMs = isRemoved ? 0 : 1_000;
            bench.submit(
              ...jobs.map((one, offset) => ({
                id: `job_${at}_${offset}`,
                ...one,
                retry,
                ...delay,
                retentionMs,
              })),
            );
            bring(bench, `job_${at}_0`, state);
          });
          bench.groupMs += 1;
          bench.do('purge');
          bench.checkIndexes();
          const newestFirst = bench
            .records()
            .sort((left, right) => right.position - left.position || right.offset - left.offset);
          for (const wanted of filters) {
            const expected = newestFirst.filter(
              ({ spec, state }) =>
                (wanted.type === undefined || spec.type === wanted.type) &&
                (wanted.queue === undefined || spec.queue === wanted.queue) &&
                (wanted.label === undefined || hasLabel(spec.labels, wanted.label)) &&
                (wanted.state === undefined || ([wanted.state].flat() as string[]).includes(state)),
            );
            assert.deepEqual(
              listAll(bench, { ...wanted, limit }),
              expected.map(({ id }) => id),
            );
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('finds the few among many that were submitted together, and those of a command that was refused are not there', () => {
    const bench = new JobsBench();
    const many = Array.from({ length: 3_000 }, (_, at) => ({
      id: `job_${at}`,
      type: at % 1_000 === 7 ? 'rare' : 'common',
    }));
    bench.submit(...many);
    bench.submit({ id: 'job_0', type: 'other' });
    assert.deepEqual(listAll(bench, { type: 'rare' }), ['job_2007', 'job_1007', 'job_7']);
    assert.deepEqual(listAll(bench, { type: 'other' }), []);
    assert.equal(bench.index('kindBits').length, Math.ceil(3_000 / 32) + 3);
    bench.checkIndexes();
  });

  it('looks at the blocks that hold some, not at all jobs', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_old', type: 'rare', labels: { team: 'web' } });
    for (let at = 0; at < 25; at += 1)
      bench.submit(...Array.from({ length: 1_000 }, (_, offset) => ({ id: `job_${at}_${offset}` })));
    for (const params of [{ type: 'rare' }, { label: 'team=web' }, { type: 'rare', state: 'queued' }])
      assert.deepEqual(
        bench.list(params).jobs.map(({ id }) => id),
        ['job_old'],
      );
  });

  it('is one row for a block and type, which moves leave as it is; how some ended is another one', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_1' }, { id: 'job_2' });
    const [ofType] = bench.index<number>('kindBits');
    assert.deepEqual([bench.index('kindBits').length, ofType?.[1]], [1, 0b11]);
    bench.do('complete', { ...bench.assign('job_1'), result: null });
    const rows = bench.index<number>('kindBits');
    assert.deepEqual([rows.length, rows[0]?.[1], rows[1]], [2, 0b01, ofType]);
    bench.do('complete', { ...bench.assign('job_2'), result: null });
    assert.deepEqual(
      bench.index<number>('kindBits').map(([, bits]) => bits),
      [0b11, 0b11],
    );
  });
});

describe('listing jobs that failed', () => {
  const ids = (jobs: readonly JobView[]) => jobs.map(({ id }) => id);

  it('finds those that are tried again, which are scheduled or queued, and none that is dead or was lost', () => {
    const bench = new JobsBench();
    const retry = (backoff: 'none' | 'fixed', maxAttempts = 2) => ({ retry: { backoff, maxAttempts } });
    bench.submit({ id: 'job_now', ...retry('none') }, { id: 'job_later', ...retry('fixed') });
    bench.submit({ id: 'job_dead', ...retry('none', 1) }, { id: 'job_fresh' }, { id: 'job_lost' });
    for (const id of ['job_now', 'job_later', 'job_dead'])
      bench.do('fail', { ...bench.assign(id), error: SOME_ERROR, result: null });
    bench.do('lose', { ...bench.assign('job_lost'), reason: 'gone' });
    assert.deepEqual(ids(bench.list({ state: 'failed' }).jobs), ['job_later', 'job_now']);
    assert.deepEqual(ids(bench.list({ state: ['failed', 'dead'] }).jobs), [
      'job_dead',
      'job_later',
      'job_now',
    ]);
    assert.deepEqual(ids(bench.list({ state: 'failed', type: 'echo', limit: 1 }).jobs), ['job_later']);
    bench.assign('job_now');
    assert.deepEqual(ids(bench.list({ state: 'failed' }).jobs), ['job_later']);
  });
});
