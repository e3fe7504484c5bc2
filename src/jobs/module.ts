import { z } from 'zod';
import { parseWith } from '../lease/machine/index.ts';
import { applyAssign, forgetSessions } from './assign.ts';
import { parseAssign, versionOfAssign } from './assign-body.ts';
import { applyCancel } from './cancel.ts';
import { checkTablesSchema, runCheckTables } from './check-tables.ts';
import {
  applyPurgeDead,
  applyRedrive,
  dlqListSchema,
  dlqMoveSchema,
  runDlqInspect,
  runDlqList,
} from './dlq.ts';
import {
  applyAddHook,
  applyPauseHook,
  applyRemoveHook,
  applyResumeHook,
  applyTestHook,
  runHook,
  runHooks,
} from './hooks/commands.ts';
import { addHookSchema, hookNameSchema, pauseHookSchema } from './hooks/hook.ts';
import { readHooks } from './hooks/hook-book.ts';
import { limitSchema, pauseSchema, readLimits, resumeSchema } from './limits.ts';
import { LiveIndex } from './live-index.ts';
import type { ApplyContext, MachineModule } from './machine-port.ts';
import { SINCE } from './machine-versions.ts';
import { readNewIds } from './new-ids.ts';
import { applyPauseJob, applyResumeJob } from './pause.ts';
import { listSchema, runGet, runList } from './queries.ts';
import { applyLimit, applyPause, applyResume, listQueuesSchema, runLimits, runQueues } from './queues.ts';
import { isPlainSettle, quickly } from './quick-checks.ts';
import { liveRecords, TABLES } from './record-store.ts';
import { applyRetry } from './rerun.ts';
import { RETRY_AFTER_MOST_MS } from './retry.ts';
import { applySettle } from './settle.ts';
import { applySubmit, parseSubmit, versionOfSubmit } from './submit.ts';
import { applyPurge, applyRelease, nextDueMs, nextExpiryMs, type PurgeBody } from './upkeep.ts';
import { writeBehind } from './write-behind.ts';

/** Reports in one command. */
const SETTLE_LIMIT = 10_000;

const jobName = z.object({ id: z.string().min(1).max(128) });
const attemptRef = {
  jobId: z.string(),
  attempt: z.int().min(1),
  fencingToken: z.number(),
  rank: z.int().min(0).optional(),
};
const jobError = z.object({
  code: z.string().min(1).max(64),
  message: z.string().max(4_096),
  retryable: z.boolean(),
  exitCode: z.int().optional(),
  retryAfterMs: z.int().min(0).max(RETRY_AFTER_MOST_MS).optional(),
});
const result = z.unknown();
const completion = { ...attemptRef, result };
const failure = { ...attemptRef, error: jobError, result };
const loss = {
  ...attemptRef,
  reason: z.string().max(512),
  isHandedOver: z.boolean().default(false),
  isUnbegun: z.boolean().optional(),
};
const settleItem = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('complete'), ...completion }),
  z.object({ kind: z.literal('fail'), ...failure }),
  z.object({ kind: z.literal('lose'), ...loss }),
  z.object({ kind: z.literal('cancelled'), ...completion }),
]);

const NO_CURSOR: PurgeBody = { from: null };
const parsePurge = parseWith(
  z.object({ from: z.object({ queue: z.string().nullable(), place: z.string().max(64) }).nullable() }),
);

/** Jobs, as the replicated machine knows them: each move is one command, and its indexes change with it. */
export const jobsModule: MachineModule = {
  name: 'jobs',
  tables: TABLES,
  derive: (tables) => {
    const index = new LiveIndex(readNewIds(tables));
    readLimits(tables, index.limits);
    readHooks(tables, index.hooks);
    index.finished.load(tables);
    for (const record of liveRecords(tables)) index.load(record);
    index.commit();
    return index;
  },
  commands: withCounts({
    submit: {
      since: versionOfSubmit,
      parse: parseSubmit,
      apply: applySubmit,
    },
    assign: {
      since: versionOfAssign,
      isLeadersOnly: true,
      parse: parseAssign,
      apply: applyAssign,
    },
    settle: {
      since: 1,
      parse: quickly(
        isPlainSettle,
        parseWith(z.object({ items: z.array(settleItem).min(1).max(SETTLE_LIMIT) })),
      ),
      apply: applySettle,
    },
    cancel: {
      since: 1,
      parse: parseWith(jobName.extend({ reason: z.string().max(1_024).nullable() })),
      apply: applyCancel,
    },
    retry: { since: 1, parse: parseWith(jobName), apply: applyRetry },
    pause: { since: 1, parse: parseWith(jobName), apply: applyPauseJob },
    resume: { since: 1, parse: parseWith(jobName), apply: applyResumeJob },
    release: {
      since: 1,
      isLeadersOnly: true,
      parse: () => null,
      apply: (_body, context) => applyRelease(context),
    },
    redrive: { since: 1, parse: parseWith(dlqMoveSchema), apply: applyRedrive },
    purgeDead: { since: 1, parse: parseWith(dlqMoveSchema), apply: applyPurgeDead },
    pauseQueue: { since: 1, parse: parseWith(pauseSchema), apply: applyPause },
    resumeQueue: { since: 1, parse: parseWith(resumeSchema), apply: applyResume },
    limit: { since: 1, parse: parseWith(limitSchema), apply: applyLimit },
    addHook: { since: 1, parse: parseWith(addHookSchema), apply: applyAddHook },
    removeHook: { since: 1, parse: parseWith(hookNameSchema), apply: applyRemoveHook },
    pauseHook: { since: 1, parse: parseWith(pauseHookSchema), apply: applyPauseHook },
    resumeHook: { since: 1, parse: parseWith(hookNameSchema), apply: applyResumeHook },
    testHook: { since: 1, parse: parseWith(hookNameSchema), apply: applyTestHook },
    purge: {
      since: ({ from }: PurgeBody) => (from === null ? 1 : SINCE.purgeCursor),
      isLeadersOnly: true,
      parse: (body) => (body === null ? NO_CURSOR : parsePurge(body)),
      apply: applyPurge,
    },
  }),
  reactions: { sessions: { opened: forgetSessions, closed: forgetSessions } },
  writeBehind,
  queries: {
    get: { parse: parseWith(jobName), run: runGet },
    list: { parse: parseWith(listSchema), run: runList },
    dlqList: { parse: parseWith(dlqListSchema), run: runDlqList },
    dlqInspect: { parse: parseWith(jobName), run: runDlqInspect },
    queues: { parse: parseWith(listQueuesSchema), run: runQueues },
    hooks: { parse: () => null, run: (_body, context) => runHooks(context) },
    hook: { parse: parseWith(hookNameSchema), run: runHook },
    checkTables: { parse: parseWith(checkTablesSchema), run: runCheckTables },
    limits: { parse: () => null, run: (_body, context) => runLimits(context) },
    nextDue: { parse: () => null, run: (_body, context) => nextDueMs(context) },
    nextExpiry: {
      parse: () => null,
      run: (_body, context) => {
        context.catchUp();
        return nextExpiryMs(context);
      },
    },
  },
};

/** Q7. What commands change of the counts of finished jobs is written at the end of each. */
function withCounts(commands: MachineModule['commands']): MachineModule['commands'] {
  return Object.fromEntries(
    Object.entries(commands).map(([name, { apply, ...kind }]) => [
      name,
      {
        ...kind,
        apply: (body: unknown, context: ApplyContext) => {
          const result = apply(body, context);
          context.derived<LiveIndex>().finished.flush(context);
          return result;
        },
      },
    ]),
  );
}
