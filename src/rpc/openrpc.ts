import { z } from 'zod';
import { electionNotifications } from './methods/election.ts';
import { jobNotifications } from './methods/job.ts';
import { kvNotifications } from './methods/kv.ts';
import { serviceNotifications } from './methods/service.ts';
import { METHODS, type MethodName } from './methods/table.ts';

/** @returns the OpenRPC 1.3 document, made of the very schemas that check the params. */
export function describeMethods({ version }: { readonly version: string }): Record<string, unknown> {
  return {
    openrpc: '1.3.2',
    info: {
      title: 'Aspen agent',
      version,
      description: 'JSON-RPC 2.0 on agent.sock, one JSON value a line.',
    },
    methods: (Object.keys(METHODS) as MethodName[]).map(describeMethod),
    'x-notifications': Object.entries({
      ...jobNotifications,
      ...kvNotifications,
      ...electionNotifications,
      ...serviceNotifications,
    }).map(([name, schema]) => ({
      name,
      params: toJsonSchema(schema, 'output'),
    })),
  };
}

function describeMethod(name: MethodName): Record<string, unknown> {
  const { params, result, isMutating, summary } = METHODS[name];
  const schema = toJsonSchema(params, 'input');
  const properties = (schema['properties'] ?? {}) as Readonly<Record<string, unknown>>;
  const required = (schema['required'] ?? []) as readonly string[];
  return {
    name,
    summary,
    paramStructure: 'by-name',
    params: Object.keys(properties).map((key) => ({
      name: key,
      required: required.includes(key),
      schema: properties[key],
    })),
    result: { name: 'result', schema: toJsonSchema(result, 'output') },
    'x-mutating': isMutating,
  };
}

function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): Record<string, unknown> {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    reused: 'inline',
  });
  return rest;
}
