import { z } from 'zod';
import { exactObject, method } from './schema.ts';

const recordSchema = z.looseObject({
  seq: z.number().int().describe('1 for the first line of all; each one more than the line before.'),
  at: z.string().describe('Wall time of the node, ISO 8601.'),
  kind: z.string().describe('What happened, e.g. `execution.start`.'),
});

const breakSchema = z.object({
  file: z.string(),
  line: z.number().int(),
  seq: z.number().int().describe('The number that is due there.'),
  reason: z.string(),
});

export const auditMethods = {
  'audit.tail': method({
    params: exactObject({
      limit: z.number().int().min(1).max(1_000).optional().describe('20 unless told.'),
      afterSeq: z
        .number()
        .int()
        .min(0)
        .optional()
        .describe('Only lines after this one; the oldest of them first.'),
    }),
    result: z.object({ records: z.array(recordSchema) }),
    isMutating: false,
    summary: 'The latest lines of the audit log of this node, oldest first.',
  }),
  'audit.verify': method({
    params: exactObject({}),
    result: z.object({
      ok: z.boolean(),
      lineCount: z.number().int().describe('Lines that hold, from the first that is kept.'),
      fileCount: z.number().int(),
      lastSeq: z.number().int(),
      lastHash: z.string().describe('Kept elsewhere, it proves later that the log was not written anew.'),
      break: breakSchema.nullable().describe('The first place that is not as it was written.'),
    }),
    isMutating: false,
    summary: 'Follows the chain of the audit log of this node from its first line to its last.',
  }),
} as const;
