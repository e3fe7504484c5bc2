import assert from 'node:assert/strict';
import { CASCADE_LIMIT } from '../../../src/jobs/dependents.ts';
import type { JobSpecInput } from '../../../src/jobs/index.ts';
import { JobsBench, SOME_ERROR } from './jobs-bench.ts';

type Ending = 'succeeded' | 'dead' | 'cancelled' | 'skipped';

/** Ends a job that waits, whatever it waits for. */
function end(bench: JobsBench, id: string, state: Ending): void {
  if (state === 'cancelled') bench.do('cancel', { id, reason: null });
  else if (state === 'succeeded') bench.do('complete', { ...bench.assign(id), result: 1 });
  else bench.do('fail', { ...bench.assign(id), error: { ...SOME_ERROR, retryable: false }, result: null });
}

function states(bench: JobsBench, ...ids: string[]): string[] {
  return ids.map((id) => bench.get(id).state);
}

type Policy = JobSpecInput['onDependencyFailure'];

describe('a job that depends on another', () => {
  const rows: [on: 'success' | 'failure' | 'any', end: Ending, policy: Policy, after: string][] = [
    ['success', 'succeeded', 'fail', 'queued'],
    ['success', 'dead', 'fail', 'dead'],
    ['success', 'cancelled', 'fail', 'dead'],
    ['success', 'dead', 'skip', 'skipped'],
    ['success', 'dead', 'continue', 'queued'],
    ['success', 'dead', 'block', 'blocked'],
    ['failure', 'dead', 'fail', 'queued'],
    ['failure', 'cancelled', 'fail', 'queued'],
    ['failure', 'succeeded', 'fail', 'skipped'],
    ['failure', 'succeeded', 'block', 'skipped'],
    ['failure', 'succeeded', 'continue', 'queued'],
    ['any', 'succeeded', 'fail', 'queued'],
    ['any', 'dead', 'fail', 'queued'],
    ['any', 'cancelled', 'block', 'queued'],
  ];
  for (const [on, ending, policy, after] of rows) {
    it(`by ${on}, and by the policy ${policy}, is ${after} once that is ${ending}`, () => {
      const bench = new JobsBench();
      const child = { dependsOn: [{ id: 'job_a', on }], onDependencyFailure: policy };
      bench.submit({ id: 'job_a' }, { id: 'job_b', ...child });
      assert.equal(bench.get('job_b').state, 'blocked');
      end(bench, 'job_a', ending);
      assert.equal(bench.get('job_b').state, after);
      bench.checkIndexes();
      bench.submit({ id: 'job_late', ...child });
      assert.equal(bench.get('job_late').state, after, 'the same when it comes after the end');
      bench.checkIndexes();
    });
  }

  it('says which parent it died of, and the policy goes on to those who depend on it', () => {
    const bench = new JobsBench();
    bench.submit(
      { id: 'job_a' },
      { id: 'job_b', dependsOn: ['job_a'], onDependencyFailure: 'skip' },
      { id: 'job_c', dependsOn: ['job_b'] },
      { id: 'job_d', dependsOn: ['job_c'], onDependencyFailure: 'continue' },
    );
    end(bench, 'job_a', 'dead');
    assert.deepEqual(states(bench, 'job_a', 'job_b', 'job_c', 'job_d'), [
      'dead',
      'skipped',
      'dead',
      'queued',
    ]);
    assert.deepEqual(bench.get('job_b').error, {
      code: 'DEPENDENCY_FAILED',
      message: 'job_a is dead',
      retryable: false,
    });
    assert.equal(bench.get('job_c').error?.message, 'job_b is skipped');
    bench.checkIndexes();
  });

  it('that closes a diamond is ready once, when both sides have ended', () => {
    const bench = new JobsBench();
    bench.submit(
      { id: 'job_d', dependsOn: ['job_b', 'job_c'] },
      { id: 'job_c', dependsOn: ['job_a'] },
      { id: 'job_b', dependsOn: ['job_a'] },
      { id: 'job_a' },
    );
    assert.deepEqual(bench.waiting(), ['job_a']);
    end(bench, 'job_a', 'succeeded');
    assert.deepEqual(bench.waiting().sort(), ['job_b', 'job_c']);
    end(bench, 'job_b', 'succeeded');
    assert.deepEqual(bench.waiting(), ['job_c']);
    end(bench, 'job_c', 'succeeded');
    assert.deepEqual(bench.waiting(), ['job_d']);
    bench.checkIndexes();
  });

  it('waits for its own delay only when its parents have ended', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a' }, { id: 'job_b', dependsOn: ['job_a'], delayMs: 50 });
    bench.groupMs += 100;
    bench.do('release');
    assert.equal(bench.get('job_b').state, 'blocked');
    end(bench, 'job_a', 'succeeded');
    assert.equal(bench.get('job_b').state, 'scheduled');
    bench.groupMs += 50;
    bench.do('release');
    assert.equal(bench.get('job_b').state, 'queued');
  });

  it('is not released by a parent that failed and will run again', () => {
    const bench = new JobsBench();
    const retry = { maxAttempts: 2, backoff: 'none' } as const;
    bench.submit({ id: 'job_a', retry }, { id: 'job_b', dependsOn: [{ id: 'job_a', on: 'any' }] });
    bench.do('fail', { ...bench.assign('job_a'), error: SOME_ERROR, result: null });
    assert.deepEqual(states(bench, 'job_a', 'job_b'), ['queued', 'blocked']);
    bench.do('fail', { ...bench.assign('job_a'), error: SOME_ERROR, result: null });
    assert.deepEqual(states(bench, 'job_a', 'job_b'), ['dead', 'queued']);
  });

  it('and is blocked by its failure goes on when that is retried and succeeds', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a' }, { id: 'job_b', dependsOn: ['job_a'], onDependencyFailure: 'block' });
    end(bench, 'job_a', 'dead');
    bench.do('retry', { id: 'job_a' });
    end(bench, 'job_a', 'succeeded');
    assert.equal(bench.get('job_b').state, 'queued');
    bench.checkIndexes();
  });

  it('keeps its parent from being removed for as long as it waits for it', () => {
    const bench = new JobsBench();
    bench.submit(
      { id: 'job_a', retentionMs: 10 },
      { id: 'job_b', dependsOn: ['job_a'], onDependencyFailure: 'block' },
    );
    end(bench, 'job_a', 'dead');
    bench.groupMs += 10;
    assert.deepEqual(bench.do('purge'), { ok: true, result: { purged: 1, isMore: false, next: null } });
    assert.equal(bench.get('job_a').state, 'dead');
    bench.checkIndexes();
    bench.do('cancel', { id: 'job_b', reason: null });
    bench.groupMs += 60_000;
    bench.do('purge');
    assert.equal(bench.code('cancel', { id: 'job_a', reason: null }), 'NOT_FOUND');
    bench.checkIndexes();
  });

  it('survives a restart of its replica', async () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a' }, { id: 'job_x' }, { id: 'job_b', dependsOn: ['job_a', 'job_x'] });
    end(bench, 'job_x', 'succeeded');
    await bench.restart();
    bench.checkIndexes();
    end(bench, 'job_a', 'succeeded');
    assert.equal(bench.get('job_b').state, 'queued');
  });
});

describe('an end that many wait for', () => {
  it('is told to a bounded number by one command, and to the others by upkeep, as it was (D2)', async () => {
    const bench = new JobsBench();
    const children = Array.from({ length: CASCADE_LIMIT * 2 + 10 }, (_, at) => ({
      id: `job_child_${at}`,
      dependsOn: ['job_a'],
    }));
    bench.submit({ id: 'job_a' });
    bench.submit(...children);
    end(bench, 'job_a', 'dead');
    const deadCount = () => children.filter(({ id }) => bench.get(id).state === 'dead').length;
    assert.equal(deadCount(), CASCADE_LIMIT);
    bench.do('retry', { id: 'job_a' });
    await bench.restart();
    assert.deepEqual(bench.do('release'), { ok: true, result: { released: 0, isMore: true } });
    assert.equal(deadCount(), CASCADE_LIMIT * 2);
    assert.deepEqual(bench.do('release'), { ok: true, result: { released: 0, isMore: false } });
    assert.equal(deadCount(), children.length);
    assert.equal(bench.get('job_a').state, 'queued');
    bench.checkIndexes();
  });

  it('is told to everybody as it was, also when it has run once more and ended otherwise meanwhile (D2)', async () => {
    const bench = new JobsBench();
    const children = Array.from({ length: CASCADE_LIMIT * 2 + 10 }, (_, at) => ({
      id: `job_child_${at}`,
      dependsOn: ['job_a'],
      onDependencyFailure: at % 2 === 0 ? ('fail' as const) : ('block' as const),
    }));
    bench.submit({ id: 'job_a' }, ...children);
    end(bench, 'job_a', 'cancelled');
    bench.do('retry', { id: 'job_a' });
    end(bench, 'job_a', 'succeeded');
    await bench.restart();
    bench.checkIndexes();
    while ((bench.do('release') as { result?: { isMore: boolean } }).result?.isMore === true);
    for (const { id, onDependencyFailure } of children)
      assert.equal(bench.get(id).state, onDependencyFailure === 'fail' ? 'dead' : 'queued', id);
    bench.checkIndexes();
  });

  it('goes down a long chain in slices', () => {
    const bench = new JobsBench();
    const length = CASCADE_LIMIT + 500;
    bench.submit(
      { id: 'job_0' },
      ...Array.from({ length }, (_, at) => ({ id: `job_${at + 1}`, dependsOn: [`job_${at}`] })),
    );
    end(bench, 'job_0', 'cancelled');
    assert.equal(bench.get(`job_${length}`).state, 'blocked');
    while ((bench.do('release') as { result?: { isMore: boolean } }).result?.isMore === true);
    assert.equal(bench.get(`job_${length}`).state, 'dead');
    bench.checkIndexes();
  });
});

describe('a submit of dependent jobs', () => {
  it('refuses a parent that nobody knows, by its path', () => {
    const bench = new JobsBench();
    const [refused] = bench.submit({ id: 'job_b', dependsOn: ['job_a'] });
    assert.equal(refused?.error?.code, 'INVALID_PARAMS');
    assert.match(JSON.stringify(refused), /dependsOn\[0\]: no job job_a/);
    assert.deepEqual(bench.records(), []);
  });

  it('refuses a cycle with the way around, and what hangs on it, and nothing else', () => {
    const bench = new JobsBench();
    const results = bench.submit(
      { id: 'job_a', dependsOn: ['job_c'] },
      { id: 'job_b', dependsOn: ['job_a'] },
      { id: 'job_c', dependsOn: ['job_b'] },
      { id: 'job_d', dependsOn: ['job_c'] },
      { id: 'job_e' },
      { id: 'job_f', dependsOn: ['job_f'] },
    );
    assert.match(JSON.stringify(results[0]), /job_a → job_c → job_b → job_a/);
    assert.match(JSON.stringify(results[3]), /job_a → job_c → job_b → job_a/);
    assert.match(JSON.stringify(results[5]), /job_f → job_f/);
    assert.deepEqual(results[4], { id: 'job_e', duplicate: false });
    assert.deepEqual(
      bench.records().map(({ id }) => id),
      ['job_e'],
    );
  });

  it('refuses with a parent that is refused, but not who depends on others', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_a' });
    const results = bench.submit(
      { id: 'job_b', dependsOn: ['job_new'] },
      { id: 'job_new', dependsOn: ['job_nobody'] },
      { id: 'job_c', dependsOn: ['job_a'] },
    );
    assert.deepEqual(
      results.map(({ error }) => error?.code),
      ['INVALID_PARAMS', 'INVALID_PARAMS', undefined],
    );
  });

  it('again is a duplicate, each of it, also when some have ended', () => {
    const bench = new JobsBench();
    const batch = [{ id: 'job_b', dependsOn: ['job_a'] }, { id: 'job_a' }];
    bench.submit(...batch);
    end(bench, 'job_a', 'succeeded');
    assert.deepEqual(bench.submit(...batch), [
      { id: 'job_b', duplicate: true },
      { id: 'job_a', duplicate: true },
    ]);
  });

  it('takes a thousand parents', () => {
    const bench = new JobsBench();
    const parents = Array.from({ length: 1_000 }, (_, at) => ({ id: `job_${at}` }));
    bench.submit(...parents, { id: 'job_end', dependsOn: parents.map(({ id }) => id) });
    for (const { id } of parents.slice(1)) end(bench, id, 'succeeded');
    assert.equal(bench.get('job_end').state, 'blocked');
    end(bench, 'job_0', 'succeeded');
    assert.equal(bench.get('job_end').state, 'queued');
  });
});
