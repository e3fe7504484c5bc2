import { AspenError } from '../../base/index.ts';
import type { GroupClient } from '../../lease/index.ts';
import type { Handlers, Result } from '../../rpc/index.ts';

type KvHandlers = Pick<Handlers, 'kv.get' | 'kv.put' | 'kv.delete' | 'kv.cas' | 'kv.scan'>;
type Consistency = 'linearizable' | 'lease' | 'stale' | undefined;

/** The agreed key-value store, as the socket offers it. */
export function kvHandlers(group: () => GroupClient): KvHandlers {
  const propose = <R>(
    kind: string,
    { requestId, ...body }: { readonly requestId?: string | undefined },
  ): Promise<R> =>
    group().propose<R>({ module: 'kv', kind, body, ...(requestId !== undefined && { requestId }) });
  const query = <R>(kind: string, body: object, consistency: Consistency): Promise<R> =>
    group().query<R>({ module: 'kv', kind, body, consistency: resolveConsistency(consistency) });
  return {
    'kv.get': ({ key, consistency }) => query<Result<'kv.get'>>('get', { key }, consistency),
    'kv.put': (params) => propose<Result<'kv.put'>>('put', params),
    'kv.delete': (params) => propose<Result<'kv.delete'>>('delete', params),
    'kv.cas': (params) => propose<Result<'kv.cas'>>('cas', params),
    'kv.scan': ({ consistency, ...body }) => query<Result<'kv.scan'>>('scan', body, consistency),
  };
}

function resolveConsistency(consistency: Consistency): 'linearizable' | 'stale' {
  if (consistency === 'lease') {
    throw new AspenError(
      'INVALID_PARAMS',
      'lease reads are not supported by this version; use linearizable or stale',
      {
        details: { issues: [{ path: 'consistency', message: 'lease is not supported by this version' }] },
      },
    );
  }
  return consistency ?? 'linearizable';
}
