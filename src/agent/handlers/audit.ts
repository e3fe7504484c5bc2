import type { Handlers } from '../../rpc/index.ts';
import { requireAudit } from '../audit-trail.ts';
import type { Daemon } from '../daemon.ts';

type AuditHandlers = Pick<Handlers, 'audit.tail' | 'audit.verify'>;

const TAIL_COUNT = 20;

/** What was done on this node, and whether the log of it is whole. */
export function auditHandlers(daemon: Daemon): AuditHandlers {
  return {
    'audit.tail': async ({ limit = TAIL_COUNT, afterSeq }) => {
      const records = await requireAudit(daemon.audit).tail({
        limit,
        ...(afterSeq !== undefined && { afterSeq }),
      });
      return { records };
    },
    'audit.verify': async () => {
      const { break: found, ...verified } = await requireAudit(daemon.audit).verify();
      return { ...verified, break: found && { ...found } };
    },
  };
}
