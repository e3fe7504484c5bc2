import { z } from 'zod';
import { exactObject, labelsSchema, method, mutating, peerIdSchema, roleSchema } from './schema.ts';

export const nodeSchema = z.looseObject({
  peerId: z.string(),
  name: z.string().nullable(),
  role: roleSchema.nullable(),
  labels: z.record(z.string(), z.string()),
  isSelf: z.boolean(),
  isAlive: z.boolean(),
  version: z.string().nullable(),
  runs: z.array(z.string()).describe('Job types it offers.'),
});

export const nodeMethods = {
  'node.list': method({
    params: exactObject({}),
    result: z.object({ nodes: z.array(nodeSchema) }),
    isMutating: false,
    summary: 'Every member of the mesh, this node included.',
  }),
  'node.label': method({
    params: mutating({
      peerId: peerIdSchema.optional().describe('This node where absent.'),
      labels: labelsSchema.optional(),
      remove: z.array(z.string().min(1).max(128)).max(64).optional(),
    }),
    result: z.object({ peerId: z.string(), labels: z.record(z.string(), z.string()) }),
    isMutating: true,
    summary: 'Sets and removes labels of a node; only the node itself may.',
  }),
  'node.revoke': method({
    params: mutating({ peerId: peerIdSchema, reason: z.string().max(1_024).optional() }),
    result: z.looseObject({ peerId: z.string(), revoked: z.boolean() }),
    isMutating: true,
    summary: 'Expels a member for good.',
  }),
} as const;
