import { z } from 'zod';
import { parseWith } from '../lease/machine/index.ts';
import { applyAssign } from './assign.ts';
import { applyCancel } from './cancel.ts';
import type { MachineModule } from './machine-port.ts';
import { listSchema, runGet, runList } from './queries.ts';
import { INDEXES, RECORDS } from './record-index.ts';
import { applyCancelled, applyComplete, applyFail, applyLose } from './settle.ts';
import { jobIdSchema, resolvedSpecSchema } from './spec.ts';
import { applySubmit } from './submit.ts';
import { applyPurge, applyRelease, nextDueMs, nextExpiryMs } from './upkeep.ts';

const jobName = z.object({ id: z.string().min(1).max(128) });
const attemptRef = { jobId: z.string(), attempt: z.int().min(1), fencingToken: z.number() };
const jobError = z.object({
  code: z.string().min(1).max(64),
  message: z.string().max(4_096),
  retryable: z.boolean(),
  exitCode: z.int().optional(),
});
const result = z.unknown();

/** Jobs, as the replicated machine knows them: each move is one command, and its indexes change with it. */
export const jobsModule: MachineModule = {
  name: 'jobs',
  tables: [RECORDS, ...INDEXES],
  commands: {
    submit: {
      since: 1,
      parse: parseWith(
        z.object({ jobs: z.array(z.object({ id: jobIdSchema, spec: resolvedSpecSchema })).max(10_000) }),
      ),
      apply: applySubmit,
    },
    assign: {
      since: 1,
      isLeadersOnly: true,
      parse: parseWith(
        z.object({
          assignments: z
            .array(z.object({ jobId: z.string(), peerId: z.string(), sessionId: z.string() }))
            .max(10_000),
        }),
      ),
      apply: applyAssign,
    },
    complete: { since: 1, parse: parseWith(z.object({ ...attemptRef, result })), apply: applyComplete },
    fail: {
      since: 1,
      parse: parseWith(z.object({ ...attemptRef, error: jobError, result })),
      apply: applyFail,
    },
    lose: {
      since: 1,
      parse: parseWith(
        z.object({ ...attemptRef, reason: z.string().max(512), isHandedOver: z.boolean().default(false) }),
      ),
      apply: applyLose,
    },
    cancelled: { since: 1, parse: parseWith(z.object({ ...attemptRef, result })), apply: applyCancelled },
    cancel: {
      since: 1,
      parse: parseWith(jobName.extend({ reason: z.string().max(1_024).nullable() })),
      apply: applyCancel,
    },
    release: {
      since: 1,
      isLeadersOnly: true,
      parse: () => null,
      apply: (_body, context) => applyRelease(context),
    },
    purge: {
      since: 1,
      isLeadersOnly: true,
      parse: () => null,
      apply: (_body, context) => applyPurge(context),
    },
  },
  queries: {
    get: { parse: parseWith(jobName), run: runGet },
    list: { parse: parseWith(listSchema), run: runList },
    nextDue: { parse: () => null, run: (_body, context) => nextDueMs(context) },
    nextExpiry: { parse: () => null, run: (_body, context) => nextExpiryMs(context) },
  },
};
