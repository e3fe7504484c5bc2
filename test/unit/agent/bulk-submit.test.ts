import assert from 'node:assert/strict';
import { BulkSubmit } from '../../../src/agent/handlers/bulk-submit.ts';
import { prepare, submit } from '../../../src/agent/handlers/job-intake.ts';
import type { PeerId } from '../../../src/base/index.ts';
import { type JobView, jobsModule } from '../../../src/jobs/index.ts';
import { leasesModule } from '../../../src/lease/machine/index.ts';
import { checkJobSpec } from '../../../src/rpc/index.ts';
import { knownSecrets } from '../jobs/known-secrets.ts';
import { createFakeDaemon } from '../rpc/fake-group.ts';

const SELF = `12D3KooW${'A'.repeat(44)}` as PeerId;
const COUNT = 250;
const ECHO = { type: 'echo', payload: 1 };

describe('a bulk of jobs', () => {
  let fake: ReturnType<typeof createFakeDaemon>;
  let bulks: BulkSubmit;

  beforeEach(() => {
    fake = createFakeDaemon(SELF, [leasesModule, jobsModule, knownSecrets]);
    bulks = new BulkSubmit(fake.daemon);
  });
  afterEach(() => fake[Symbol.dispose]());

  const echoes = (count = COUNT): unknown[] => Array.from({ length: count }, () => ECHO);
  const idsOf = (results: readonly unknown[]): string[] =>
    results.map((result) => (result as { readonly id: string }).id);
  const listed = async (): Promise<number> => {
    const body = { limit: 1_000 };
    const query = { module: 'jobs', kind: 'list', body };
    const { jobs } = await fake.daemon.node.group.client.query<{ jobs: readonly JobView[] }>(query);
    return jobs.length;
  };

  it('is taken whole, each job once, in its order', async () => {
    const ids = idsOf(await bulks.submit(echoes(), undefined));
    assert.equal(new Set(ids).size, COUNT);
    assert.deepEqual(ids, ids.toSorted(), 'ids grow in the order given');
    assert.equal(await listed(), COUNT);
  });

  it('answers in its place what is wrong with a job, and takes the others', async () => {
    const jobs = echoes();
    for (const at of [0, 99, 100, 249]) jobs[at] = { type: 'echo', priority: 99 };
    const results = await bulks.submit(jobs, undefined);
    const refused = results.flatMap((result, at) => ('error' in result ? [at] : []));
    assert.deepEqual(refused, [0, 99, 100, 249]);
    assert.equal(await listed(), COUNT - 4);
  });

  it('takes jobs that wait for each other, in any order', async () => {
    const jobs = Array.from({ length: COUNT }, (_, at) => ({
      ...ECHO,
      id: `job_${at}`,
      ...(at < COUNT - 1 && { dependsOn: [`job_${at + 1}`] }),
    }));
    const results = await bulks.submit(jobs, undefined);
    assert.deepEqual(idsOf(results), idsOf(jobs));
  });

  it('J9: is taken once, however often it is asked for', async () => {
    const first = await bulks.submit(echoes(), 'r1');
    assert.deepEqual(await bulks.submit(echoes(), 'r1'), first);
    assert.equal(await listed(), COUNT);
  });

  it('J9: is taken once where it was taken as one command before, or is repeated as one', async () => {
    const jobs = Array.from({ length: COUNT }, () => prepare(fake.daemon, checkJobSpec(ECHO)));
    const whole = await submit(fake.daemon, jobs, 'whole');
    assert.deepEqual(idsOf(await bulks.submit(echoes(), 'whole')), idsOf(whole));
    assert.equal(await listed(), COUNT);

    const sliced = await bulks.submit(echoes(), 'sliced');
    const again = await submit(fake.daemon, jobs, 'sliced');
    assert.deepEqual(idsOf(again), idsOf(sliced).slice(0, again.length), 'of the first slice');
    assert.equal(await listed(), 2 * COUNT);
  });
});
