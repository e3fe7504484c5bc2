import type { AuditLog } from '../audit/index.ts';
import { AspenError } from '../base/index.ts';
import type { Handlers } from '../rpc/index.ts';

/** Administrative methods, each with the params that go into the log: names and numbers, never a ticket, a key or a value. */
const ACTS: Partial<Record<keyof Handlers, readonly string[]>> = {
  'agent.stop': [],
  'backup.begin': ['allowStale'],
  'mesh.ticket': ['role', 'ttlMs', 'uses'],
  'mesh.ticketRevoke': ['id'],
  'mesh.join': ['abandon'],
  'mesh.leave': [],
  'node.label': ['peerId', 'labels', 'remove'],
  'node.drain': ['peerId'],
  'node.undrain': ['peerId'],
  'node.revoke': ['peerId', 'reason'],
  'group.transfer': ['to'],
  'group.recover': ['on', 'dryRun', 'force'],
  'queue.pause': ['queue', 'reason'],
  'queue.resume': ['queue'],
  'queue.limit': ['queue', 'concurrency', 'maxWaiting'],
  'queue.limitAll': ['maxWaiting'],
  'namespace.limit': ['namespace', 'concurrency', 'maxWaiting'],
  'hook.add': ['url', 'on', 'type', 'queue'],
  'hook.remove': ['id'],
  'hook.pause': ['id', 'reason'],
  'hook.resume': ['id'],
  'secret.set': ['name', 'id', 'isSameValue', 'grants'],
  'secret.grant': ['name', 'id', 'grant'],
  'secret.revoke': ['name', 'peerId'],
  'secret.delete': ['name'],
  'dlq.purge': ['ids', 'queue', 'type', 'all'],
};

type Handler = (params: unknown, context: unknown) => Promise<unknown>;

/**
 * Handlers whose administrative acts are in the audit log.
 *
 * - L8 What was asked for is on disk before it is done, and what became of it follows; never a ticket, a key or a value.
 * @returns the handlers themselves where there is no log.
 */
export function auditedHandlers(handlers: Handlers, audit: () => AuditLog | undefined): Handlers {
  const audited: Record<string, Handler> = {};
  for (const [method, fields] of Object.entries(ACTS)) {
    const handler = handlers[method as keyof Handlers] as Handler;
    audited[method] = async (params, context) => {
      const log = audit();
      if (log === undefined) return handler(params, context);
      log.record({ kind: 'act', method, ...factsOf(params, fields) });
      await log.flushed();
      return outcomeIn(log, method, handler(params, context));
    };
  }
  return { ...handlers, ...audited } as Handlers;
}

async function outcomeIn(log: AuditLog, method: string, acting: Promise<unknown>): Promise<unknown> {
  try {
    const result = await acting;
    const { id } = (result ?? {}) as { readonly id?: unknown };
    log.record({ kind: 'act.done', method, ...(typeof id === 'string' && { id }) });
    return result;
  } catch (error) {
    log.record({ kind: 'act.failed', method, code: error instanceof AspenError ? error.code : 'INTERNAL' });
    throw error;
  }
}

function factsOf(params: unknown, fields: readonly string[]): object {
  const given = (params ?? {}) as Record<string, unknown>;
  const told = fields.filter((field) => given[field] !== undefined);
  return Object.fromEntries(told.map((field) => [field, nodesIn(given[field])]));
}

/** Of grants only whom they are for. */
function nodesIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(nodesIn);
  const { peerId } = (typeof value === 'object' && value !== null ? value : {}) as {
    readonly peerId?: unknown;
  };
  return peerId ?? value;
}
