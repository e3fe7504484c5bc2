import { z } from 'zod';
import { exactObject, method } from './schema.ts';

const judgedSchema = z.object({
  isSo: z.boolean().nullable().describe('null: nobody can tell.'),
  detail: z.string(),
});
const familySchema = z.object({
  hosts: z.array(z.string()).readonly(),
  links: z.number().int().describe('Open channels over it.'),
});
const pathSchema = z.enum(['direct', 'relay']);

export const netReportSchema = z.object({
  listens: z.array(z.string()).readonly(),
  ipv4: familySchema,
  ipv6: familySchema,
  udp: judgedSchema.describe('Whether datagrams of this node arrive.'),
  mappingVaries: judgedSchema.describe('Whether the address outside depends on whom one speaks to.'),
  portMapping: judgedSchema.describe('Whether a router forwards a port.'),
  quic: judgedSchema.optional().describe('Whether holes through routers are made by QUIC as well.'),
  seenAs: z
    .array(z.object({ host: z.string(), isPublic: z.boolean(), members: z.number().int() }))
    .readonly()
    .describe('From where members see this node come.'),
  reachability: z.string(),
  isRelay: z.boolean(),
  relays: z
    .array(
      z.object({
        peerId: z.string(),
        name: z.string().nullable(),
        path: pathSchema.nullable(),
        rttMs: z.number().nullable(),
      }),
    )
    .readonly(),
  proxies: z.array(z.object({ variable: z.string(), value: z.string() })).readonly(),
  proxy: z
    .object({ url: z.string().nullable(), from: z.string(), letsThrough: judgedSchema })
    .nullable()
    .describe('The proxy that is used, without its password; null where there is none.'),
  multicastProblem: z.string().nullable(),
  observers: z
    .array(
      z.object({
        peerId: z.string(),
        name: z.string().nullable(),
        path: pathSchema,
        rttMs: z.number(),
        saw: z.string().nullable(),
      }),
    )
    .readonly(),
});

export const netMethods = {
  'net.check': method({
    params: exactObject({}),
    result: netReportSchema,
    isMutating: false,
    summary: 'Looks at the network from this node, and at this node from the members it is linked with.',
  }),
} as const;
