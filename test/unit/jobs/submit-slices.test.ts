import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { resolveJobSpec, SLICE_JOBS, type SubmitResult, submitInSlices } from '../../../src/jobs/index.ts';
import type { SubmitItem } from '../../../src/jobs/submission.ts';

const SPEC = resolveJobSpec({ type: 'echo' });
const job = (at: number): SubmitItem => ({ id: `job_${at}`, spec: SPEC });
const taken = (items: readonly SubmitItem[]): SubmitResult[] =>
  items.map(({ id }) => ({ id, duplicate: false }));

/** A bulk of whole slices, of which some jobs could not be made ready. */
function bulkOf(count: number, isReady: (at: number) => boolean = () => true) {
  const log: string[] = [];
  const answered = new Map<number, readonly SubmitResult[]>();
  const jobs = Array.from({ length: count * SLICE_JOBS }, (_, at) => job(at)).filter((_, at) => isReady(at));
  const prepare = (slice: number): readonly SubmitItem[] => {
    log.push(`prepare ${slice}`);
    return jobs.filter(({ id }) => Math.floor(Number(id.slice(4)) / SLICE_JOBS) === slice);
  };
  const propose = async (items: readonly SubmitItem[], at: number): Promise<readonly SubmitResult[]> => {
    log.push(`propose ${items.length} at ${at}`);
    const known = answered.get(at) ?? taken(items);
    answered.set(at, known);
    return known;
  };
  const nextTurn = async (): Promise<void> => void log.push('turn');
  return { log, jobs, answered, slices: { count, prepare, propose, nextTurn } };
}

const failing = (fails: (at: number) => AspenError | undefined) => {
  const bulk = bulkOf(3);
  const propose = async (items: readonly SubmitItem[], at: number) => {
    const error = fails(at);
    if (error !== undefined) throw error;
    return taken(items);
  };
  return { ...bulk.slices, propose };
};

describe('a bulk in slices', () => {
  it('lets others have their turn before each, and makes none ready before its own', async () => {
    const { log, jobs, slices } = bulkOf(3);
    assert.deepEqual(await submitInSlices(slices, false), taken(jobs));
    assert.deepEqual(log, [
      ...['turn', 'prepare 0', 'propose 100 at 0'],
      ...['turn', 'prepare 1', 'propose 100 at 100'],
      ...['turn', 'prepare 2', 'propose 100 at 200'],
    ]);
  });

  it('does not wait for what becomes of one before the next', async () => {
    const { slices, jobs } = bulkOf(3);
    const started: number[] = [];
    const { promise: agreed, resolve: agree } = Promise.withResolvers<void>();
    const propose = async (items: readonly SubmitItem[], at: number) => {
      started.push(at);
      if (at === 200) agree();
      await agreed;
      return taken(items);
    };
    assert.deepEqual(await submitInSlices({ ...slices, propose }, false), taken(jobs));
    assert.deepEqual(started, [0, 100, 200]);
  });

  it('counts and submits only what could be made ready', async () => {
    const { log, jobs, slices } = bulkOf(3, (at) => at % 10 !== 0 && Math.floor(at / SLICE_JOBS) !== 1);
    assert.deepEqual(await submitInSlices(slices, false), taken(jobs));
    assert.deepEqual(
      log.filter((line) => line.startsWith('propose')),
      ['propose 90 at 0', 'propose 90 at 90'],
    );
  });

  it('gives the failure of a slice to its jobs, and fails when none was taken', async () => {
    const busy = new AspenError('RESOURCE_EXHAUSTED', 'too much waits', { outcome: 'not-applied' });
    const unsure = new AspenError('UNAVAILABLE', 'the leader is gone', { outcome: 'unknown' });
    const results = await submitInSlices(
      failing((at) => (at === SLICE_JOBS ? busy : undefined)),
      false,
    );
    assert.equal(results?.length, 300);
    const codes = results?.map((result) => ('error' in result ? result.error.code : 'taken'));
    assert.deepEqual(codes?.slice(99, 201), ['taken', ...Array(100).fill('RESOURCE_EXHAUSTED'), 'taken']);
    await assert.rejects(
      submitInSlices(
        failing((at) => (at === SLICE_JOBS ? unsure : busy)),
        false,
      ),
      unsure,
      'what is not known of one is not known of all',
    );
    await assert.rejects(
      submitInSlices(
        failing(() => busy),
        true,
      ),
      busy,
    );
  });

  it('J9: takes nothing twice when it is repeated', async () => {
    const { log, jobs, slices } = bulkOf(3);
    const first = await submitInSlices(slices, true);
    assert.deepEqual(first, taken(jobs));
    assert.deepEqual(await submitInSlices(slices, true), first);
    assert.equal(log.filter((line) => line === 'propose 100 at 0').length, 2, 'asked for again');
  });

  it('J9: stops at the first slice where it was taken as a whole before', async () => {
    const { log, jobs, answered, slices } = bulkOf(3);
    answered.set(0, taken(jobs));
    assert.equal(await submitInSlices(slices, true), undefined);
    assert.deepEqual(log, ['turn', 'prepare 0', 'propose 100 at 0']);
  });
});
