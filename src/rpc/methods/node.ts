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
  isDraining: z.boolean().optional().describe('It takes no new jobs.'),
  runs: z.array(z.string()).describe('Job types it offers.'),
});

const rootSchema = z.object({
  number: z.number().int().describe('Of the present key; the first has 0.'),
  isDue: z.boolean().describe('Another one is on its way.'),
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
  'node.drain': method({
    params: mutating({ peerId: peerIdSchema.optional().describe('This node where absent.') }),
    result: z.object({ peerId: z.string(), isDraining: z.boolean() }),
    isMutating: true,
    summary: 'Gives a node no new jobs until node.undrain, also after its restart; what runs there goes on.',
  }),
  'node.undrain': method({
    params: mutating({ peerId: peerIdSchema.optional().describe('This node where absent.') }),
    result: z.object({ peerId: z.string(), isDraining: z.boolean() }),
    isMutating: true,
    summary: 'Lets a drained node take jobs again.',
  }),
  'node.revoke': method({
    params: mutating({ peerId: peerIdSchema, reason: z.string().max(1_024).optional() }),
    result: z.looseObject({
      peerId: z.string(),
      revoked: z.boolean(),
      root: rootSchema
        .optional()
        .describe('The root key of the mesh: it is replaced when the revoked member had it.'),
    }),
    isMutating: true,
    summary: 'Expels a member for good; the root key of the mesh is replaced where it had that.',
  }),
} as const;
