import { z } from 'zod';
import { exactObject, method, mutating, peerIdSchema, wallMsSchema } from './schema.ts';

const nameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/,
    'expected up to 128 letters, digits or . _ - /, beginning with a letter or digit',
  );
const idSchema = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .describe('Of the version, drawn by whoever sealed it.');
const keySchema = z.base64().length(44).describe('X25519, in base64.');
const sealedSchema = z.base64().max(128 * 1024);
const grantSchema = exactObject({
  peerId: peerIdSchema,
  sealingKey: keySchema,
  wrap: sealedSchema.describe('The data key, sealed to the node.'),
});
const secretSchema = z.looseObject({
  name: z.string(),
  id: idSchema,
  version: z.number().int(),
  createdAt: wallMsSchema,
  setAt: wallMsSchema,
  grants: z
    .array(z.object({ peerId: z.string(), sealingKey: keySchema }))
    .describe('The nodes that may read it, and the key it was sealed to for each.'),
  exposedTo: z.array(z.string()).describe('Nodes without a grant that may know this value: set another one.'),
});

/** Values are sealed by the client, to keys it asks for here, and travel sealed: no agent ever has one in clear. */
export const secretMethods = {
  'secret.recipients': method({
    params: exactObject({
      peerIds: z.array(peerIdSchema).max(256).optional().describe('All that are known where absent.'),
    }),
    result: z.object({
      self: z.string(),
      recipients: z.array(
        z.object({ peerId: z.string(), name: z.string().nullable(), sealingKey: keySchema }),
      ),
    }),
    isMutating: false,
    summary: 'The keys to which secrets are sealed for nodes, each as the node itself has signed it.',
  }),
  'secret.set': method({
    params: mutating({
      name: nameSchema,
      id: idSchema,
      box: sealedSchema.describe('The value, sealed to the data key.'),
      grants: z.array(grantSchema).min(1).max(256),
      expectedId: idSchema.nullable().optional().describe('Refuse unless this is the version; null: none.'),
      isSameValue: z.boolean().optional().describe('Only the keys are new: who knew the value still does.'),
    }),
    result: secretSchema,
    isMutating: true,
    summary: 'Sets a sealed value and who may read it.',
  }),
  'secret.list': method({
    params: exactObject({}),
    result: z.object({ secrets: z.array(secretSchema) }),
    isMutating: false,
    summary: 'Secrets by name, with the nodes that may read them; no values.',
  }),
  'secret.get': method({
    params: exactObject({ name: nameSchema }),
    result: secretSchema,
    isMutating: false,
    summary: 'One secret, with the nodes that may read it; no value.',
  }),
  'secret.opening': method({
    params: exactObject({ name: nameSchema }),
    result: z.object({ name: z.string(), id: idSchema, box: sealedSchema, wrap: sealedSchema }),
    isMutating: false,
    summary: 'A secret as it is sealed to this node.',
  }),
  'secret.grant': method({
    params: mutating({ name: nameSchema, id: idSchema, grant: grantSchema }),
    result: secretSchema,
    isMutating: true,
    summary: 'Lets one more node read a version of a secret.',
  }),
  'secret.revoke': method({
    params: mutating({ name: nameSchema, peerId: peerIdSchema }),
    result: secretSchema,
    isMutating: true,
    summary: 'Takes a secret from a node; what it has read it still knows, until another value is set.',
  }),
  'secret.delete': method({
    params: mutating({ name: nameSchema }),
    result: z.object({ deleted: z.boolean() }),
    isMutating: true,
    summary: 'Removes a secret; jobs that name it find no node.',
  }),
} as const;
