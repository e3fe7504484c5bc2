import { z } from 'zod';
import { durationMsSchema, exactObject, method, mutating, roleSchema, wallMsSchema } from './schema.ts';

export const peerSchema = z.looseObject({
  peerId: z.string(),
  name: z.string().nullable(),
  role: roleSchema.nullable(),
  path: z.enum(['direct', 'relay']).nullable().describe('null while not connected.'),
  rttMs: z.number().nullable(),
  address: z.string().nullable(),
  carrier: z.string().nullable().optional().describe('What carries the channel, e.g. tcp.'),
  since: wallMsSchema.nullable().optional(),
  bytesIn: z.number().nullable().optional().describe('Of the channel, since it opened.'),
  bytesOut: z.number().nullable().optional(),
  isDoubted: z
    .boolean()
    .optional()
    .describe('There is a channel whose other end was asked and does not answer: it counts as none.'),
  unheardMs: z
    .number()
    .nullable()
    .optional()
    .describe('For how long nothing came over the channel, to a second; null without one.'),
  isAlive: z.boolean().optional().describe('Heard of lately, through whomever.'),
  estimatedRttMs: z.number().nullable().optional().describe('From coordinates, where no channel is open.'),
  why: z
    .string()
    .nullable()
    .optional()
    .describe('Why it is relayed, or not connected; null for a direct path.'),
});

const matrixNodeSchema = z.object({
  peerId: z.string(),
  name: z.string().nullable(),
  isAlive: z.boolean(),
  toldAt: wallMsSchema.nullable().describe('When it told of its links, by its own clock.'),
  linkCount: z.number().int().nullable(),
});

const matrixLinkSchema = z.object({
  from: z.string(),
  to: z.string(),
  path: z.enum(['direct', 'relay']),
  rttMs: z.number().nullable().describe('Rounded up to a power of two.'),
  isMutual: z.boolean().describe('The other end tells of it too.'),
});

export const ticketSchema = z.looseObject({
  id: z.string(),
  role: roleSchema,
  uses: z.number().int(),
  expiresAt: wallMsSchema,
});

const ticketTextSchema = z.string().min(1).max(16_384);

export const meshMethods = {
  'mesh.ticket': method({
    params: mutating({
      role: roleSchema.optional(),
      ttlMs: z.number().int().min(1).max(Number.MAX_SAFE_INTEGER).optional(),
      uses: z.number().int().min(1).max(100_000).optional(),
    }),
    result: z.object({ ticket: z.string(), id: z.string(), expiresAt: wallMsSchema }),
    isMutating: true,
    summary: 'Creates an invitation to this mesh.',
  }),
  'mesh.tickets': method({
    params: exactObject({}),
    result: z.object({ tickets: z.array(ticketSchema) }),
    isMutating: false,
    summary: 'Invitations the group knows.',
  }),
  'mesh.ticketInspect': method({
    params: exactObject({ ticket: ticketTextSchema }),
    result: z.looseObject({
      id: z.string(),
      meshId: z.string(),
      role: roleSchema,
      uses: z.number().int(),
      expiresAt: wallMsSchema,
      members: z.array(z.looseObject({ peerId: z.string(), addresses: z.array(z.string()) })),
    }),
    isMutating: false,
    summary: 'What a ticket says, without redeeming it.',
  }),
  'mesh.ticketRevoke': method({
    params: mutating({ id: z.string().min(1).max(128) }),
    result: z.looseObject({ id: z.string(), revoked: z.boolean() }),
    isMutating: true,
    summary: 'Makes a ticket worthless; members it admitted stay.',
  }),
  'mesh.peers': method({
    params: exactObject({}),
    result: z.object({ peers: z.array(peerSchema) }),
    isMutating: false,
    summary: 'The other members, with path, round trip and role.',
  }),
  'mesh.matrix': method({
    params: exactObject({}),
    result: z.object({
      nodes: z.array(matrixNodeSchema).readonly(),
      links: z.array(matrixLinkSchema).readonly(),
    }),
    isMutating: false,
    summary: 'Who reaches whom and how, as the nodes themselves told.',
  }),
  'mesh.join': method({
    params: mutating({ ticket: ticketTextSchema, abandon: z.boolean().optional() }),
    result: z.looseObject({ meshId: z.string(), peerId: z.string(), alreadyMember: z.boolean() }),
    isMutating: true,
    summary: 'Joins the mesh of a ticket.',
  }),
  'mesh.leave': method({
    params: mutating({ timeoutMs: durationMsSchema.optional() }),
    result: z.looseObject({ meshId: z.string(), left: z.boolean() }),
    isMutating: true,
    summary: 'Leaves the mesh for good: hands over, drains, erases the membership.',
  }),
} as const;
