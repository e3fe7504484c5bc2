import assert from 'node:assert/strict';
import type { WireError } from '../../../src/base/index.ts';
import { bitOf, blockOf, placeInBlock } from '../../../src/jobs/blocks.ts';
import { type FinalState, FinishedCounts } from '../../../src/jobs/finished-counts.ts';
import {
  type JobSpecInput,
  type JobView,
  jobsModule,
  resolveJobSpec,
  submitBody,
} from '../../../src/jobs/index.ts';
import { expiryKind, finalKinds, lastingKinds } from '../../../src/jobs/kinds.ts';
import type { LiveIndex } from '../../../src/jobs/live-index.ts';
import { isFinal, type JobRecord } from '../../../src/jobs/record.ts';
import {
  findRecord,
  indexKeysOf,
  rowsOf,
  storedBytes,
  type TableName,
} from '../../../src/jobs/record-store.ts';
import type { AttemptRef } from '../../../src/jobs/settlement.ts';
import { type CommandOutcome, type MachineModule, sessionsModule } from '../../../src/lease/machine/index.ts';
import { Bench, codeOf, resultOf } from '../lease/machine/support.ts';

const REPORTS: ReadonlySet<string> = new Set(['complete', 'fail', 'lose', 'cancelled']);

/** The jobs module in a real machine on a store in memory. */
export class JobsBench extends Bench {
  constructor(others: readonly MachineModule[] = []) {
    super([sessionsModule, ...others, jobsModule]);
  }

  do(kind: string, body: object | null = null): CommandOutcome {
    return REPORTS.has(kind) ? this.#report(kind, body) : this.apply({ module: 'jobs', kind, body });
  }

  /** One report alone, as if it were a command of its own. */
  #report(kind: string, body: object | null): CommandOutcome {
    const item = { kind, isHandedOver: false, ...body };
    const outcome = this.apply({ module: 'jobs', kind: 'settle', body: { items: [item] } });
    if (!outcome.ok) return outcome;
    const [result] = outcome.result as readonly ({ readonly error?: WireError } & object)[];
    return result?.error === undefined ? { ok: true, result } : { ok: false, error: result.error };
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
    const body = submitBody(jobs.map(({ id, ...spec }) => ({ id, spec: specOf(spec) })));
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
    return findRecord(this.machine.read('jobs'), id);
  }

  records(): JobRecord[] {
    const range = rowsOf(this.machine.read('jobs'), 'jobs').range({});
    return Array.from(range, ([id]) => this.record(id) as JobRecord);
  }

  index<V = string>(name: TableName): (readonly [string, V])[] {
    return [...rowsOf<V>(this.machine.read('jobs'), name).range({})];
  }

  /** Ids of the jobs that wait for a node, the most urgent first. */
  waiting(): string[] {
    return Array.from(this.machine.read('jobs').derived<LiveIndex>().ready(''), ({ id }) => id);
  }

  /** J1 */
  checkIndexes(): void {
    const jobs = this.machine.read('jobs');
    const records = this.records();
    const rebuilt = records.flatMap((record) =>
      indexKeysOf(record).map(({ table, key }) => ({ table, key, id: record.id })),
    );
    for (const name of ['idempotency', 'dead'] as const) {
      const expected = rebuilt.filter(({ table }) => table === name).map(({ key, id }) => [key, id] as const);
      assert.deepEqual(
        this.index(name),
        expected.toSorted(([left], [right]) => (left < right ? -1 : 1)),
        name,
      );
    }
    this.#checkCounts(records, jobs.derived<LiveIndex>());
    this.#checkBlocks(records);
    const anew = jobsModule.derive?.(jobs) as LiveIndex;
    assert.deepEqual(jobs.derived<LiveIndex>().describe(), anew.describe(), 'in memory');
  }

  /** L1 */
  #checkBlocks(records: readonly JobRecord[]): void {
    const kinds = new Map<string, number>();
    const expiring = new Map<string, number>();
    const ids = new Map<string, (string | null)[]>();
    for (const record of records) {
      const block = blockOf(record);
      const mark = (rows: Map<string, number>, kind: string) =>
        rows.set(kind + block, ((rows.get(kind + block) ?? 0) | bitOf(record)) >>> 0);
      for (const kind of [...lastingKinds(record), ...finalKinds(record)]) mark(kinds, kind);
      if (isFinal(record.state)) mark(expiring, expiryKind(record));
      const inBlock = ids.get(block) ?? [];
      while (inBlock.length <= placeInBlock(record)) inBlock.push(null);
      inBlock[placeInBlock(record)] = record.id;
      ids.set(block, inBlock);
    }
    const sorted = <V>(rows: Map<string, V>) => [...rows].sort(([left], [right]) => (left < right ? -1 : 1));
    assert.deepEqual(this.index<number>('kindBits'), sorted(kinds), 'kindBits');
    assert.deepEqual(this.index<number>('expiryBits'), sorted(expiring), 'expiryBits');
    assert.deepEqual(this.index<(string | null)[]>('blocks'), sorted(ids), 'blocks');
  }

  /** Q7 */
  #checkCounts(records: readonly JobRecord[], { finished }: LiveIndex): void {
    const recounted = new FinishedCounts();
    for (const record of records) {
      const { state, spec } = record;
      if (isFinal(state)) recounted.add(spec.queue, state as FinalState, 1, storedBytes(record));
    }
    assert.deepEqual(finished.describe(), recounted.describe(), 'counts');
    assert.deepEqual(finished.total, recounted.total, 'total');
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
