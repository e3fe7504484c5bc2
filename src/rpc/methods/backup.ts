import { z } from 'zod';
import { exactObject, method } from './schema.ts';

const idSchema = z.string().min(1).max(64);

export const backupMethods = {
  'backup.begin': method({
    params: exactObject({
      allowStale: z.boolean().optional().describe('take what this node has, also without a quorum'),
    }),
    result: z.object({
      id: z.string(),
      header: z.object({
        meshId: z.string(),
        peerId: z.string(),
        epoch: z.number(),
        index: z.number(),
        term: z.number(),
        machineVersion: z.number(),
        takenAtMs: z.number(),
      }),
    }),
    isMutating: false,
    summary:
      'Opens a consistent view of the agreed state; it is let go when nobody reads from it for a minute.',
  }),
  'backup.read': method({
    params: exactObject({ id: idSchema }),
    result: z.object({ data: z.string().nullable().describe('base64; null at the end') }),
    isMutating: false,
    summary: 'The next piece of a backup; the pieces together are the file.',
  }),
  'backup.end': method({
    params: exactObject({ id: idSchema }),
    result: z.object({ ended: z.boolean() }),
    isMutating: false,
    summary: 'Gives up a backup before its end.',
  }),
};
