import { z } from 'zod';
import { isSecretName } from '../../secrets/index.ts';
import type { FinalState } from '../finished-counts.ts';
import type { Breaker } from './breaker.ts';

/** The type of the jobs that deliver; nobody submits one. */
export const DELIVERY_TYPE = 'hook.deliver';

/** What a hook is told of: a job came to its end. */
export type HookEvent = `job.${FinalState}`;
export const HOOK_EVENTS = [
  'job.succeeded',
  'job.dead',
  'job.cancelled',
  'job.skipped',
] as const satisfies readonly HookEvent[];

/** Hooks of one mesh: each is asked about each job that ends. */
export const HOOKS_LIMIT = 64;
/** Deliveries of one hook that wait; what comes beyond is dropped and counted. */
export const HOOK_WAITING_LIMIT = 10_000;
/** Deliveries of one hook at one time. */
export const HOOK_CONCURRENCY = 16;
const URL_LENGTH_LIMIT = 2_048;
const LABELS_LIMIT = 16;

/** A hook as the group keeps it. */
export interface Hook extends Breaker {
  readonly id: string;
  readonly url: string;
  readonly on: readonly HookEvent[];
  /** Only jobs of this type; null for all. */
  readonly type: string | null;
  /** Only jobs of this queue; null for all. */
  readonly queue: string | null;
  /** Only jobs with all of these labels. */
  readonly labels: Readonly<Record<string, string>>;
  /** The secret that deliveries are signed with, by its name; null for none. Its value is sealed to the nodes that may deliver. */
  readonly secretName: string | null;
  /** Wall time. */
  readonly createdAt: number;
  /** Position of the command that made it. */
  readonly position: number;
  readonly paused: { readonly reason: string | null; readonly sinceMs: number } | null;
  /** Events without a delivery, because {@link HOOK_WAITING_LIMIT} waited. */
  readonly droppedCount: number;
  /** Of the latest attempt that failed; wall time. */
  readonly lastError: { readonly message: string; readonly at: number } | null;
}

export const hookIdSchema = z
  .string()
  .regex(/^hook_[0-9a-z]{1,64}$/, 'must be "hook_" and up to 64 letters or digits');

export const addHookSchema = z.strictObject({
  id: hookIdSchema,
  url: z
    .string()
    .max(URL_LENGTH_LIMIT)
    .regex(/^https?:\/\//, 'must begin with http:// or https://'),
  on: z
    .array(z.enum(HOOK_EVENTS))
    .min(1)
    .refine((events) => new Set(events).size === events.length, 'names an event twice'),
  type: z.string().min(1).max(128).nullable(),
  queue: z.string().min(1).max(128).nullable(),
  labels: z
    .record(z.string().min(1).max(128), z.string().max(256))
    .refine((labels) => Object.keys(labels).length <= LABELS_LIMIT, `at most ${LABELS_LIMIT} labels`),
  secretName: z.string().refine(isSecretName, 'expected the name of a secret').nullable(),
});

/** By its id, a unique prefix, or `last`. */
export const hookNameSchema = z.object({ id: z.string().min(1).max(128) });
export const pauseHookSchema = z.object({
  id: z.string().min(1).max(128),
  reason: z.string().max(1_024).nullable(),
});
