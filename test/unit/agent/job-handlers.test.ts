import assert from 'node:assert/strict';
import type { Daemon } from '../../../src/agent/daemon.ts';
import { jobHandlers } from '../../../src/agent/handlers/job.ts';
import { AspenError } from '../../../src/base/index.ts';
import { jobsModule, type submitBody } from '../../../src/jobs/index.ts';
import type { Connection } from '../../../src/rpc/index.ts';

type Body = ReturnType<typeof submitBody>;

/** A group of which not everybody understands the newest version yet: what needs more is refused as a whole. */
class OldGroup {
  readonly proposed: string[][] = [];
  #count = 0;

  readonly daemon = {
    jobIds: { next: () => `job_${++this.#count}` },
    node: { group: { client: { propose: async ({ body }: { body: Body }) => this.#propose(body) } } },
  } as unknown as Daemon;

  #propose(body: Body): { id: string; duplicate: boolean }[] {
    const { since, parse } = jobsModule.commands['submit'] as (typeof jobsModule.commands)[string];
    const ids = body.jobs.map(([id]) => id);
    this.proposed.push(ids);
    if (typeof since === 'function' && since(parse(body)) > 1)
      throw new AspenError('CONFLICT', 'needs machine version 2', { outcome: 'not-applied' });
    return ids.map((id) => ({ id, duplicate: false }));
  }
}

describe('jobs submitted at one moment', () => {
  it('travel in one command, but for one that older voters would not understand, whose refusal is its own', async () => {
    const group = new OldGroup();
    const handlers = jobHandlers(group.daemon);
    const submit = (retry: object) =>
      handlers['job.submit']({ type: 'echo', retry }, undefined as unknown as Connection);
    const results = await Promise.allSettled([
      submit({ maxAttempts: 2 }),
      submit({ maxAttempts: 1, maxLosses: 0 }),
      submit({ maxAttempts: 3 }),
    ]);
    assert.deepEqual(
      results.map((result) => (result.status === 'fulfilled' ? result.value.id : result.reason.code)),
      ['job_1', 'CONFLICT', 'job_3'],
    );
    assert.deepEqual(group.proposed.toSorted(), [['job_1', 'job_3'], ['job_2']]);
  });
});
