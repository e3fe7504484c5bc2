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
} as const;
