import { z } from 'zod';
import { exactObject, method, mutating, peerIdSchema } from './schema.ts';

export const groupMemberSchema = z.looseObject({
  peerId: z.string(),
  name: z.string().nullable(),
  role: z.enum(['voter', 'standby', 'spare']),
  isLeader: z.boolean(),
  reason: z.string().describe('Why it has this role.'),
  matchIndex: z.number().int().nullable(),
  lag: z.number().int().nullable().describe('Entries it still lacks.'),
  lastContactMs: z.number().nullable().describe('0 while it is connected to the leader.'),
});

export const groupReportSchema = z.looseObject({
  leader: z.string().nullable(),
  hasQuorum: z.boolean(),
  term: z.number().int(),
  epoch: z.number().int(),
  lastIndex: z.number().int(),
  commitIndex: z.number().int(),
  diskCount: z.number().int().nullable().describe('Disks that hold all that was acknowledged.'),
  members: z.array(groupMemberSchema),
  health: z.array(
    z.looseObject({
      level: z.enum(['ok', 'warning', 'error']),
      text: z.string(),
      mend: z.string().optional().describe('The command that mends it.'),
    }),
  ),
});

const survivorSchema = z.looseObject({
  peerId: z.string(),
  name: z.string().nullable(),
  role: z.enum(['voter', 'standby', 'spare']),
  epoch: z.number().int(),
  term: z.number().int().describe('Of its last entry.'),
  lastIndex: z.number().int(),
  isBest: z.boolean(),
});

export const groupRecoverySchema = z.looseObject({
  isDone: z.boolean(),
  on: z.string().describe('The survivor that goes on with its data.'),
  epoch: z.number().int().describe('The one that begins.'),
  survivors: z.array(survivorSchema),
  missing: z.array(z.string()).describe('Voters and standbys that did not answer.'),
  mayBeLost: z.array(z.string()),
});

export const groupMethods = {
  'group.status': method({
    params: exactObject({}),
    result: groupReportSchema,
    isMutating: false,
    summary: 'Who votes and who stands by, why, how far each is, and what is not well.',
  }),
  'group.transfer': method({
    params: mutating({ to: peerIdSchema.optional().describe('The best other voter where absent.') }),
    result: z.looseObject({ from: z.string(), leader: z.string() }),
    isMutating: true,
    summary: 'Hands the leadership to another voter.',
  }),
  'group.recover': method({
    params: mutating({
      dryRun: z.boolean().optional().describe('Only tells what would be done.'),
      on: peerIdSchema
        .optional()
        .describe('The survivor to go on with; the one that knows most where absent.'),
      force: z.boolean().optional().describe('Also on a survivor that knows less than another.'),
    }),
    result: groupRecoverySchema,
    isMutating: true,
    summary: 'Begins a new epoch on one survivor when a majority of the voters is lost for good.',
  }),
} as const;
