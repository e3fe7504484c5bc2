import { z } from 'zod';
import { type Clock, sleep, unreachable } from '../base/index.ts';
import type { Blobs } from '../blobs/index.ts';
import {
  type AttemptContext,
  type ExecutionResult,
  type Executor,
  Slots,
  stoppedResult,
  stopReasonOf,
  type TablesPage,
} from '../jobs/index.ts';
import type { GroupClient } from '../lease/index.ts';
import { type Compactor, isWorthCompacting, type Key, readStep, type StoreView } from '../storage/index.ts';
import { attempted } from './failures.ts';
import { payloadCheck } from './payload-check.ts';

const schema = z.discriminatedUnion('task', [
  z.strictObject({ task: z.literal('collect') }),
  z.strictObject({ task: z.literal('check') }),
  z.strictObject({ task: z.literal('compact') }),
]);

export type MaintenanceJob = z.output<typeof schema>;

/** @throws AspenError INVALID_PARAMS whose `issues` name each path. */
export const parseMaintenanceJob = payloadCheck('maintenance', schema);

export interface MaintenanceComponents {
  readonly blobs: Pick<Blobs, 'store' | 'collect'>;
  /** Of this node, checked as it is read. */
  readonly store: StoreView;
  readonly group: Pick<GroupClient, 'query'>;
  readonly clock: Clock;
  /** Of this node's store. @default nothing can compact it */
  readonly compactor?: Compactor | undefined;
  /** Drops kept output beyond its limits. @returns how many attempts' output went. */
  readonly pruneOutputs: () => Promise<number>;
}

/** Tasks of one node at a time: they read much. */
const AT_ONCE = 1;
/** Pause after each step, in which others work. Unit: ms. */
const STEP_PAUSE_MS = 5;
/** Faults that a report names; beyond they are counted. */
const FAULTS_SHOWN = 100;

/** Looks after the node it runs on. */
export class MaintenanceExecutor implements Executor {
  readonly type = 'maintenance';
  readonly #components: MaintenanceComponents;
  readonly #slots = new Slots(AT_ONCE);

  constructor(components: MaintenanceComponents) {
    this.#components = components;
  }

  execute(attempt: AttemptContext): Promise<ExecutionResult> {
    return attempted(attempt, parseMaintenanceJob, async ({ task }) => {
      if (!(await this.#slots.take(attempt.signal)))
        return stoppedResult(stopReasonOf(attempt.signal) ?? 'shutdown', null);
      try {
        return await this.#do(task, attempt.signal);
      } finally {
        this.#slots.give();
      }
    });
  }

  async #do(task: MaintenanceJob['task'], signal: AbortSignal): Promise<ExecutionResult> {
    switch (task) {
      case 'collect':
        return { ok: true, result: { task, ...(await this.#collect()) } };
      case 'check':
        return this.#check(signal);
      case 'compact':
        return { ok: true, result: { task, ...(await this.#compact()) } };
      default:
        return unreachable(task);
    }
  }

  async #collect() {
    const { blobs } = this.#components;
    const before = factsOf(blobs);
    await blobs.collect();
    const after = factsOf(blobs);
    const removed = { blobCount: before.blobCount - after.blobCount, bytes: before.bytes - after.bytes };
    return { before, after, removed };
  }

  /** What can be let go of now, is; the store is written anew where nobody uses it: before the agent's next start opens it. */
  async #compact() {
    const { compactor, pruneOutputs } = this.#components;
    const { removed: blobs } = await this.#collect();
    const outputs = { removedCount: await pruneOutputs() };
    const space = compactor?.space();
    if (compactor === undefined || space === undefined) return { store: null, blobs, outputs };
    const isAsked = isWorthCompacting(space);
    const last = await compactor.last();
    if (isAsked) await compactor.ask();
    return { store: { ...space, when: isAsked ? 'next start' : 'not worth it', last }, blobs, outputs };
  }

  /** A damaged value is told of by the store itself: the agent ends, and begins anew without what was damaged. */
  async #check(signal: AbortSignal): Promise<ExecutionResult> {
    const values = await this.#readValues(signal);
    const tables = await this.#compareTables(signal);
    const result = { task: 'check', values, tables };
    if (tables.faultCount === 0) return { ok: true, result };
    const message = `${tables.faultCount} faults in the tables of jobs; the first: ${tables.faults[0]}`;
    return { ok: false, error: { code: 'INCONSISTENT', message, retryable: false }, result };
  }

  async #readValues(signal: AbortSignal): Promise<{ readonly count: number; readonly bytes: number }> {
    const { store, clock } = this.#components;
    let count = 0;
    let bytes = 0;
    for (let from: Key | undefined = ''; from !== undefined; ) {
      const step = readStep(store, from);
      count += step.records;
      bytes += step.bytes;
      from = step.next;
      await sleep(clock, STEP_PAUSE_MS, signal);
    }
    return { count, bytes };
  }

  /** On this node's own replica, where it has one. */
  async #compareTables(signal: AbortSignal) {
    const { group, clock } = this.#components;
    const faults: string[] = [];
    let rowCount = 0;
    let faultCount = 0;
    for (let cursor: TablesPage['cursor'] | null = null; cursor !== undefined; ) {
      const body = cursor === null ? {} : { cursor };
      const page: TablesPage = await group.query<TablesPage>({
        module: 'jobs',
        kind: 'checkTables',
        body,
        consistency: 'stale',
      });
      rowCount += page.rowCount;
      faultCount += page.faults.length;
      faults.push(...page.faults.slice(0, FAULTS_SHOWN - faults.length));
      cursor = page.cursor;
      await sleep(clock, STEP_PAUSE_MS, signal);
    }
    return { rowCount, faultCount, faults };
  }
}

function factsOf({ store }: MaintenanceComponents['blobs']) {
  return { blobCount: store.list().length, bytes: store.usedBytes };
}
