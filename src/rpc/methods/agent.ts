import { z } from 'zod';
import { durationMsSchema, exactObject, method, mutating } from './schema.ts';

export const agentStatusSchema = z.looseObject({
  peerId: z.string(),
  name: z.string(),
  meshId: z.string(),
  version: z.string(),
  uptimeMs: z.number(),
  isDraining: z.boolean().optional().describe('It takes no new jobs, until it is undrained.'),
  revoked: z
    .looseObject({
      atMs: z
        .number()
        .nullable()
        .describe('Wall time of whoever revoked it; null where only a root key of later tells.'),
      mend: z.string(),
    })
    .nullable()
    .optional()
    .describe('Set once this node has verified that the mesh revoked it: it has no part in it any more.'),
  group: z.looseObject({
    role: z.enum(['voter', 'standby', 'spare']),
    leader: z.string().nullable(),
    term: z.number().int(),
    commitIndex: z.number().int(),
    appliedIndex: z.number().int(),
    voters: z.array(z.string()),
    hasQuorum: z.boolean(),
    disks: z
      .number()
      .int()
      .nullable()
      .optional()
      .describe('Disks that hold all that was acknowledged; null where nobody can tell.'),
  }),
  disk: z
    .looseObject({
      state: z.enum(['ok', 'recovering']),
      reason: z.string().nullable(),
      quarantine: z.string().nullable(),
      mend: z.string().nullable(),
    })
    .optional(),
  root: z
    .looseObject({
      number: z.number().int().describe('Of the root key that this node believes; the first has 0.'),
      since: z.number().nullable().describe('Wall time; null for the first.'),
      isDue: z.boolean().nullable().describe('Another one is on its way; null where this node cannot tell.'),
      hasList: z.boolean().describe('Holds the list of the earlier certificates that stay valid.'),
    })
    .optional(),
  session: z
    .looseObject({
      id: z.string().nullable().describe('Null while none is held.'),
      confirmedAgoMs: z
        .number()
        .nullable()
        .describe('How long ago the latest confirmed renewal was sent; null before the first.'),
      latestLoss: z
        .looseObject({
          sessionId: z.string().nullable(),
          reason: z
            .enum(['slept', 'replaced'])
            .describe("'slept': the machine's clocks show it; 'replaced': the group knows it no more."),
          atMs: z.number().describe('Wall time.'),
        })
        .nullable()
        .describe('The latest session that ended before this process did.'),
    })
    .optional(),
  peers: z
    .number()
    .int()
    .describe('Members this node is connected to: those that were heard lately, or answered just now.'),
  connectivity: z.looseObject({
    doubted: z
      .int()
      .min(0)
      .optional()
      .describe('Channels whose other end was asked and does not answer; not counted in `peers`.'),
    longestUnheardMs: z
      .number()
      .nullable()
      .optional()
      .describe(
        'How long ago the peer that was heard longest ago was heard, to a second; null without peers.',
      ),
    reachability: z
      .enum(['public', 'private', 'unknown'])
      .optional()
      .describe(
        'Whether others reach this node from anywhere: seen, impossible by its addresses, or not seen yet.',
      ),
    isRelay: z
      .boolean()
      .optional()
      .describe('It carries circuits between members that do not reach each other.'),
    circuitsCarried: z.int().min(0).optional().describe('How many it carries now.'),
    latestUpheaval: z
      .looseObject({
        type: z.enum(['woke', 'network']),
        stoodStillMs: z.number().optional(),
        atMs: z.number().describe('Wall time.'),
      })
      .nullable()
      .optional()
      .describe(
        'When this node last stood still or found itself in another network; null when it never did.',
      ),
    problems: z.array(z.string()).optional().describe('What people should know, one sentence each.'),
  }),
});

const configEntrySchema = z.object({
  key: z.string(),
  value: z.unknown(),
  unit: z
    .enum(['ms', 'bytes'])
    .optional()
    .describe('What a number there counts, where it is not just a number.'),
  origin: z.enum(['flag', 'environment', 'file', 'earlier flag', 'default']),
});

const statusWordSchema = z.enum(['ok', 'warn', 'fail']);
const findingSchema = z.looseObject({
  name: z.string().describe('Dotted, from the part to the detail.'),
  status: statusWordSchema,
  detail: z.string(),
  mend: z.string().nullable().describe('The command or the change that mends it.'),
});

export const agentMethods = {
  'agent.status': method({
    params: exactObject({}),
    result: agentStatusSchema,
    isMutating: false,
    summary: 'This node, its mesh, its group.',
  }),
  'agent.stop': method({
    params: mutating({ graceMs: durationMsSchema.optional() }),
    result: z.looseObject({ stopping: z.boolean(), pid: z.number().int().describe('To wait for its end.') }),
    isMutating: true,
    summary: 'Stops the agent; running jobs finish or are handed over.',
  }),
  'agent.doctor': method({
    params: exactObject({}),
    result: z.looseObject({ worst: statusWordSchema, findings: z.array(findingSchema) }),
    isMutating: false,
    summary:
      'Looks at what this node needs of its machine and its mesh, and says how to mend what is missing.',
  }),
  'config.show': method({
    params: exactObject({}),
    result: z.object({ config: z.array(configEntrySchema) }),
    isMutating: false,
    summary: 'What the agent runs with, and where each value comes from.',
  }),
} as const;
