import { AspenError, newId } from '../../base/index.ts';
import { askedNow, validMs } from '../../lease/index.ts';
import type { Handlers, Result } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';

type LeaseHandlers = Pick<Handlers, `lease.${'grant' | 'keepAlive' | 'revoke' | 'get' | 'list'}`>;

interface LeaseView {
  readonly leaseId: string;
  readonly ttlMs: number;
  readonly remainingMs: number;
  readonly owner: string;
}

/** Items of one page, at the most; the contract allows to ask for more. */
const PAGE_LIMIT = 200;

/** Leases, as the socket offers them. */
export function leaseHandlers(daemon: Daemon): LeaseHandlers {
  const propose = <R>(
    kind: string,
    { requestId, ...body }: { readonly requestId?: string | undefined },
  ): Promise<R> =>
    daemon.node.group.client.propose<R>({
      module: 'leases',
      kind,
      body,
      ...(requestId !== undefined && { requestId }),
    });
  const prolong = async (kind: string, body: object) => {
    const asked = askedNow(daemon.clock);
    const { leaseId, ttlMs } = await propose<{ leaseId: string; ttlMs: number }>(kind, body);
    return { leaseId, ttlMs, validMs: validMs(ttlMs, asked, daemon.clock) };
  };
  return {
    'lease.grant': (params) => {
      const leaseId = newId('lse', daemon.platform);
      return prolong('grant', { ...params, leaseId, owner: daemon.node.self });
    },
    'lease.keepAlive': (params) => prolong('keepAlive', params),
    'lease.revoke': (params) => propose<Result<'lease.revoke'>>('revoke', params),
    'lease.get': async ({ leaseId }) => {
      const query = { module: 'leases', kind: 'lease', body: { leaseId } };
      const lease = await daemon.node.group.client.query<LeaseView | null>(query);
      if (lease === null) throw new AspenError('NOT_FOUND', `there is no lease ${leaseId} (any more)`);
      return shown(lease);
    },
    'lease.list': async ({ limit = 100, ...params }) => {
      const body = { ...params, limit: Math.min(limit, PAGE_LIMIT) };
      const page = await daemon.node.group.client.query<{
        readonly items: readonly LeaseView[];
        readonly cursor?: string;
      }>({ module: 'leases', kind: 'leases', body });
      const { items, ...rest } = page;
      return { ...rest, leases: items.map(shown) };
    },
  };
}

function shown({ leaseId, ttlMs, remainingMs, owner }: LeaseView): LeaseView {
  return { leaseId, ttlMs, remainingMs, owner };
}
