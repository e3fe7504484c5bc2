import { z } from 'zod';
import {
  claimMethods,
  fencingTokenSchema,
  heldSchema,
  leaseIdSchema,
  nameSchema,
  ttlMsSchema,
  waitMsSchema,
} from './coordination-shapes.ts';
import { exactObject, method, mutating } from './schema.ts';

const election = claimMethods('election', 'the leadership');

const proclaimedSchema = z
  .string()
  .refine((value) => Buffer.byteLength(value, 'utf8') <= 4_096, 'at most 4096 bytes of UTF-8');

const electedSchema = z
  .object({
    value: z.string(),
    leaseId: leaseIdSchema,
    fencingToken: fencingTokenSchema,
    owner: z.string().describe('Peer id of the node through which the leader campaigned.'),
    ttlMs: z.number(),
    remainingMs: z.number(),
  })
  .nullable()
  .describe('null while nobody leads.');

export const electionMethods = {
  'election.campaign': method({
    params: mutating({
      name: nameSchema,
      value: proclaimedSchema.describe('What the leader wants the others to know, e.g. its address.'),
      ttlMs: ttlMsSchema,
      waitMs: waitMsSchema,
    }),
    result: heldSchema,
    isMutating: true,
    summary: 'Becomes leader, or waits in line until the leaders before have ended.',
  }),
  'election.renew': election.renew,
  'election.proclaim': method({
    params: mutating({ name: nameSchema, leaseId: leaseIdSchema, value: proclaimedSchema }),
    result: z.object({ proclaimed: z.literal(true) }),
    isMutating: true,
    summary: 'Changes the value of the leader; FENCED for anybody else.',
  }),
  'election.resign': election.release,
  'election.leader': method({
    params: exactObject({ name: nameSchema }),
    result: z.object({ leader: electedSchema, candidateCount: z.number().int() }),
    isMutating: false,
    summary: 'Who leads now.',
  }),
  'election.list': election.list,
  'election.observe': method({
    params: exactObject({ name: nameSchema }),
    result: z.object({ subscription: z.string() }),
    isMutating: false,
    summary:
      'Subscribes to an election: a notification election.changed now and after each change, election.observeEnd at the end.',
  }),
  'election.observeStop': method({
    params: exactObject({ subscription: z.string().max(128) }),
    result: z.object({ stopped: z.boolean() }),
    isMutating: false,
    summary: 'Ends a subscription of election.observe.',
  }),
} as const;

/** Notifications of the agent to whoever called `election.observe`. */
export const electionNotifications = {
  'election.changed': z.object({
    subscription: z.string(),
    name: z.string(),
    leader: electedSchema,
    candidateCount: z.number().int(),
  }),
  'election.observeEnd': z.object({
    subscription: z.string(),
    reason: z.string().optional().describe('Why it ended; absent when it was asked to.'),
  }),
} as const;
