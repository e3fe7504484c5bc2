import { z } from 'zod';
import { demandFault } from '../affinity/index.ts';
import { isShallow, PAYLOAD_DEPTH_LIMIT } from './shallow.ts';

const KEY_BYTES_LIMIT = 1_024;
const LABELS_LIMIT = 64;
/** Parents of one job. */
export const DEPENDENCIES_LIMIT = 1_000;
/** Instants lie between 1970 and the end of the year 9999. Unit: ms. */
export const LATEST_INSTANT_MS = 253_402_300_799_999;
/** Nodes of one group. */
export const GROUP_NODES_LIMIT = 100;

const JOB_ID = /^job_[0-9a-zA-Z_-]{1,64}$/;

export function isJobId(value: unknown): value is string {
  return typeof value === 'string' && JOB_ID.test(value);
}

/** Also the border of the module: what has no such id is refused before it is proposed. */
export const jobIdSchema = z.string().regex(JOB_ID, 'must be "job_" and up to 64 letters, digits, - or _');
export const labels = z
  .record(z.string().min(1).max(128), z.string().max(256))
  .refine((given) => Object.keys(given).length <= LABELS_LIMIT, `at most ${LABELS_LIMIT} labels`);
/** Labels, each with what is asked of its value. */
export const demands = labels.superRefine((given, context) => {
  for (const [label, text] of Object.entries(given)) {
    const message = demandFault(text);
    if (message !== undefined) context.addIssue({ code: 'custom', path: [label], message });
  }
});
export const idempotencyKey = z
  .string()
  .min(1)
  .refine((key) => Buffer.byteLength(key) <= KEY_BYTES_LIMIT, `longer than ${KEY_BYTES_LIMIT} bytes`);
export const payload = z.unknown().refine(isShallow, `nested deeper than ${PAYLOAD_DEPTH_LIMIT}`);
export const waitMs = z.int().min(0).max(Number.MAX_SAFE_INTEGER);
export const limitMs = z.int().min(1).max(Number.MAX_SAFE_INTEGER);
export const instantMs = z.int().min(0).max(LATEST_INSTANT_MS);
const dependency = z.object({ id: jobIdSchema, on: z.enum(['success', 'failure', 'any']) });
export const dependencies = z
  .array(dependency)
  .max(DEPENDENCIES_LIMIT)
  .refine((edges) => new Set(edges.map(({ id }) => id)).size === edges.length, 'names a job twice');
export const failurePolicy = z.enum(['fail', 'skip', 'continue', 'block']);

export const group = z.strictObject({ nodes: z.int().min(2).max(GROUP_NODES_LIMIT) });

/** Blobs that one job may name. */
export const DATA_LIMIT = 64;
export const blobIds = z
  .array(z.string().regex(/^(bafkrei|bafybei)[a-z2-7]{52}$/, 'must be a blob id'))
  .max(DATA_LIMIT);
