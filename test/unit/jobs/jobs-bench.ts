import assert from 'node:assert/strict';
import { type JobSpecInput, type JobView, jobsModule, resolveJobSpec } from '../../../src/jobs/index.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import { INDEXES, type IndexName, indexKeysOf, RECORDS } from '../../../src/jobs/record-index.ts';
import type { AttemptRef } from '../../../src/jobs/settle.ts';
import { type CommandOutcome, sessionsModule } from '../../../src/lease/machine/index.ts';
import { Bench, codeOf, resultOf } from '../lease/machine/support.ts';

/** The jobs module in a real machine on a store in memory. */
export class JobsBench extends Bench {
  constructor() {
    super([sessionsModule, jobsModule]);
  }

  do(kind: string, body: object | null = null): CommandOutcome {
    return this.apply({ module: 'jobs', kind, body });
  }

  code(kind: string, body: object | null = null): string {
    return codeOf(this.do(kind, body));
  }

  openSession(peerId: string, sessionId: string): void {
    const body = { peerId, incarnation: 'inc', sessionId };
    resultOf(this.apply({ module: 'sessions', kind: 'open', body }));
  }

  /** @returns what became of each job, in order. */
  submit(
    ...jobs: ({ readonly id: string } & Partial<JobSpecInput>)[]
  ): readonly { error?: { code: string } }[] {
    const body = { jobs: jobs.map(({ id, ...spec }) => ({ id, spec: specOf(spec) })) };
    return resultOf(this.do('submit', body)) as readonly { error?: { code: string } }[];
  }

  /** Gives the job to a node with an open session. */
  assign(jobId: string, peerId = 'ann'): AttemptRef {
    if (this.#sessionOf(peerId) === undefined) this.openSession(peerId, `ses_${peerId}`);
    const sessionId = this.#sessionOf(peerId) as string;
    const [result] = resultOf(this.do('assign', { assignments: [{ jobId, peerId, sessionId }] })) as [
      { running: { attempt: number; fencingToken: number } },
    ];
    const { attempt, fencingToken } = result.running;
    return { jobId, attempt, fencingToken };
  }

  get(id: string): JobView {
    return this.query('jobs', 'get', { id }) as JobView;
  }

  list(params: object = {}): { readonly jobs: readonly JobView[]; readonly cursor?: string } {
    return this.query('jobs', 'list', params) as { jobs: JobView[]; cursor?: string };
  }

  record(id: string): JobRecord | undefined {
    return this.machine.read('jobs').table<JobRecord>(RECORDS).get(id);
  }

  records(): JobRecord[] {
    const range = this.machine.read('jobs').table<JobRecord>(RECORDS).range({});
    return Array.from(range, ([, record]) => record);
  }

  index(name: IndexName): (readonly [string, string])[] {
    return [...this.machine.read('jobs').table<string>(name).range({})];
  }

  /** J1 */
  checkIndexes(): void {
    const rebuilt = this.records().flatMap((record) =>
      indexKeysOf(record).map(({ table, key }) => ({ table, key, id: record.id })),
    );
    for (const name of INDEXES) {
      const expected = rebuilt.filter(({ table }) => table === name).map(({ key, id }) => [key, id] as const);
      assert.deepEqual(
        this.index(name),
        expected.toSorted(([left], [right]) => (left < right ? -1 : 1)),
        name,
      );
    }
  }

  #sessionOf(peerId: string): string | undefined {
    const sessions = this.machine.read('sessions').table<{ sessionId: string }>('sessions');
    return sessions.get(peerId)?.sessionId;
  }
}

export function specOf(spec: Partial<JobSpecInput> = {}) {
  return resolveJobSpec({ type: 'echo', ...spec });
}

export const SOME_ERROR = { code: 'FAILED', message: 'it failed', retryable: true };
