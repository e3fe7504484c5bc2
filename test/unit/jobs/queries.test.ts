import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError } from '../../../src/base/index.ts';
import type { JobView } from '../../../src/jobs/index.ts';
import { JobsBench } from './jobs-bench.ts';

function hasCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof AspenError && error.code === code;
}

/** Ten jobs of several types, queues, labels and states. */
function filled(): JobsBench {
  const bench = new JobsBench();
  for (let at = 0; at < 10; at += 1) {
    bench.submit({
      id: `job_${at}`,
      type: at % 2 === 0 ? 'echo' : 'shell',
      queue: at < 5 ? 'low' : 'high',
      labels: at % 3 === 0 ? { team: 'red=1' } : { stage: 'test' },
      ...(at === 9 && { delayMs: 100 }),
    });
  }
  bench.assign('job_2');
  bench.do('complete', { ...bench.assign('job_3'), result: 'done' });
  bench.do('cancel', { id: 'job_4', reason: null });
  return bench;
}

function pages(bench: JobsBench, params: object): string[] {
  const ids: string[] = [];
  let cursor: string | undefined;
  do {
    const page = bench.list({ ...params, ...(cursor !== undefined && { cursor }) });
    ids.push(...page.jobs.map(({ id }) => id));
    cursor = page.cursor;
  } while (cursor !== undefined);
  return ids;
}

describe('listing jobs', () => {
  const rows: [params: object, numbers: number[]][] = [
    [{}, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
    [{ type: 'shell' }, [9, 7, 5, 3, 1]],
    [{ queue: 'low' }, [4, 3, 2, 1, 0]],
    [{ label: 'team' }, [9, 6, 3, 0]],
    [{ label: 'team=red=1' }, [9, 6, 3, 0]],
    [{ label: 'team=red' }, []],
    [{ label: 'constructor' }, []],
    [{ state: 'queued' }, [8, 7, 6, 5, 1, 0]],
    [{ state: ['queued'], queue: 'high' }, [8, 7, 6, 5]],
    [{ state: ['running', 'succeeded', 'cancelled'] }, [4, 3, 2]],
    [{ state: 'scheduled' }, [9]],
    [{ state: 'cancelled' }, [4]],
    [{ state: 'cancelling' }, []],
    [{ state: 'paused' }, []],
    [{ type: 'shell', state: 'queued', label: 'stage=test' }, [7, 5, 1]],
  ];
  for (const [params, numbers] of rows) {
    it(`by ${JSON.stringify(params)}, newest first, in pages of any length`, () => {
      const bench = filled();
      const expected = numbers.map((at) => `job_${at}`);
      for (const limit of [1, 2, 3, 100]) assert.deepEqual(pages(bench, { ...params, limit }), expected);
    });
  }

  it('loses and doubles none over its pages, whatever is filtered', () => {
    fc.assert(
      fc.property(
        fc.array(fc.array(fc.constantFrom('echo', 'shell'), { minLength: 1, maxLength: 5 }), {
          maxLength: 12,
        }),
        fc.integer({ min: 1, max: 7 }),
        (commands, limit) => {
          const bench = new JobsBench();
          let count = 0;
          const jobs = commands.map((types) => types.map((type) => ({ id: `job_${count++}`, type })));
          for (const together of jobs) bench.submit(...together);
          const newest = jobs.flat().reverse();
          assert.deepEqual(
            pages(bench, { limit }),
            newest.map(({ id }) => id),
          );
          const shells = newest.filter(({ type }) => type === 'shell').map(({ id }) => id);
          assert.deepEqual(pages(bench, { limit, type: 'shell', state: 'queued' }), shells);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keeps its place though jobs come and end between two pages', () => {
    const bench = filled();
    const first = bench.list({ limit: 4 });
    bench.submit({ id: 'job_new' });
    bench.do('complete', { ...bench.assign('job_5'), result: null });
    const second = bench.list({ limit: 100, cursor: first.cursor as string });
    assert.deepEqual(
      second.jobs.map(({ id }) => id),
      ['job_5', 'job_4', 'job_3', 'job_2', 'job_1', 'job_0'],
    );
  });

  it('ends a page early when its jobs are large, so that it fits a frame', () => {
    const bench = new JobsBench();
    for (let at = 0; at < 12; at += 1) bench.submit({ id: `job_${at}`, payload: 'x'.repeat(200_000) });
    const first = bench.list({ limit: 1_000 });
    assert.equal(first.jobs.length, 3);
    assert.equal(pages(bench, { limit: 1_000 }).length, 12);
  });

  it('refuses a cursor it never gave', () => {
    assert.throws(() => filled().list({ cursor: 'zz' }), hasCode('INVALID_PARAMS'));
  });
});

describe('naming a job', () => {
  const rows: [name: string, found: string][] = [
    ['job_abc', 'job_abc'],
    ['job_abcd', 'job_abcd'],
    ['job_x', 'job_xyz'],
    ['last', 'job_xyz'],
    ['job_ab', 'CONFLICT'],
    ['job_q', 'NOT_FOUND'],
    ['xyz', 'NOT_FOUND'],
  ];
  for (const [name, found] of rows) {
    it(`"${name}" is ${found}`, () => {
      const bench = new JobsBench();
      bench.submit({ id: 'job_abc' }, { id: 'job_abcd' }, { id: 'job_xyz' });
      if (found.startsWith('job_')) assert.equal(bench.get(name).id, found);
      else assert.throws(() => bench.get(name), hasCode(found));
    });
  }

  it('"last" of no job at all is not found', () => {
    assert.throws(() => new JobsBench().get('last'), hasCode('NOT_FOUND'));
  });

  it('shows the spec in the words of the interface', () => {
    const bench = new JobsBench();
    bench.submit({ id: 'job_1', offline: 'keep' }, { id: 'job_2', offline: { holdMs: 9_000 }, runAt: 5 });
    const spec = (id: string): JobView['spec'] => bench.get(id).spec;
    assert.equal(spec('job_1')['offline'], 'keep');
    assert.deepEqual(spec('job_2')['offline'], { holdMs: 9_000 });
    assert.equal(spec('job_2')['runAt'], 5);
    assert.ok(!('hold' in spec('job_1')) && !('runAtMs' in spec('job_1')));
  });
});
