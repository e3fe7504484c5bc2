import { z } from 'zod';
import { GROUP_NODES_LIMIT } from './spec-fields.ts';

/** What leader and worker say to each other. All of it comes from another machine and is checked here. */

const ref = {
  jobId: z.string().min(1).max(128),
  attempt: z.int().min(1),
  fencingToken: z.number(),
  /** The member of a group; absent where the attempt runs on one node. */
  rank: z.int().min(0).max(GROUP_NODES_LIMIT).optional(),
};

export const attemptRefSchema = z.object(ref);

/** Attached workers of one node. */
export const POOLS_LIMIT = 256;

/** An attached worker, as its node offers it: its labels add to those of the node. */
const poolSchema = z.object({
  id: z.string().min(1).max(64),
  types: z.array(z.string().max(128)).max(64),
  labels: z.record(z.string().max(128), z.string().max(256)),
  slots: z.int().min(0).max(100_000),
  isDraining: z.boolean(),
  /** Slots, beside those above, that attempts hold which were given up and which it has not answered (A4), and the first of these. */
  unanswered: z
    .object({ count: z.int().min(1), jobId: z.string().max(128), attempt: z.int().min(1) })
    .optional(),
});

export type PoolReport = z.output<typeof poolSchema>;

/**
 * Rides on each renewal of a node's session: what it offers, and every attempt it still holds. `types` and `slots` are of what the node
 * runs itself; each attached worker is a pool of its own.
 */
export const reportSchema = z.object({
  labels: z.record(z.string().max(128), z.string().max(256)),
  types: z.array(z.string().max(128)).max(256),
  slots: z.int().min(0).max(100_000),
  isDraining: z.boolean(),
  pools: z.array(poolSchema).max(POOLS_LIMIT).default([]),
  attempts: z.array(attemptRefSchema).max(100_000),
  /** Its slots may become more or fewer: the leader is to say how much waits for them. */
  wantsBacklog: z.boolean().optional(),
});

export type WorkerReport = z.output<typeof reportSchema>;

/** One attempt given to a node. */
export const assignmentSchema = z.object({
  ...ref,
  sessionId: z.string(),
  /** The attached worker that is to run it; null for what the node runs itself. */
  pool: z.string().nullable().default(null),
  type: z.string(),
  payload: z.unknown(),
  timeoutMs: z.number().nullable(),
  /** Longest silence of the attempt. */
  heartbeatTimeoutMs: z.number().nullable().default(null),
  traceparent: z.string().nullable(),
  /** Granted until the first renewal that lists the attempt. */
  holdMs: z.number(),
  /** What else the job asked for, in the words of the interface; only for an attached worker, and absent where that is nothing. */
  rest: z.record(z.string(), z.unknown()).optional(),
  /** Of a group, whose member this is by its `rank`: where each runs. */
  peers: z.array(z.string().max(128)).max(GROUP_NODES_LIMIT).optional(),
});

export type Assignment = z.output<typeof assignmentSchema>;

const abortOrderSchema = z.object({ ...ref, reason: z.enum(['cancelled', 'lost']) });

export type AbortOrder = z.output<typeof abortOrderSchema>;

/** The leader's answer to a report. */
export const ordersSchema = z.object({
  assign: z.array(assignmentSchema),
  /** `lost`: the group knows nothing of this attempt any more. */
  abort: z.array(abortOrderSchema),
  /** How long each attempt now survives the node's silence, from when the report was sent. */
  holds: z.array(z.object({ ...ref, holdMs: z.number() })),
  /** The node's share of what waits for a slot, where it wants to know. */
  backlog: z.int().min(0).optional(),
});

export type Orders = z.output<typeof ordersSchema>;

/** Leader to worker, without waiting for the next renewal. One-way; a lost one is made up by the next report. */
export const METHODS = { assign: 'jobs/assign', abort: 'jobs/abort' } as const;

export const assignMessageSchema = z.object({ assignments: z.array(assignmentSchema).max(10_000) });
export const abortMessageSchema = z.object({
  attempts: z.array(abortOrderSchema).max(10_000),
});
