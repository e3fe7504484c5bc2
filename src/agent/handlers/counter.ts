import type { GroupClient } from '../../lease/index.ts';
import type { Handlers, Result } from '../../rpc/index.ts';

type CounterHandlers = Pick<
  Handlers,
  `counter.${'get' | 'add' | 'cas' | 'delete' | 'list'}` | 'sequence.next' | 'ratelimit.take'
>;

/** Numbers that everybody shares, as the socket offers them. */
export function counterHandlers(group: () => GroupClient): CounterHandlers {
  const propose = <R>(
    module: 'counters' | 'ratelimits',
    kind: string,
    { requestId, ...body }: { readonly requestId?: string | undefined },
  ): Promise<R> => group().propose<R>({ module, kind, body, ...(requestId !== undefined && { requestId }) });
  return {
    'counter.get': ({ name }) =>
      group().query<Result<'counter.get'>>({ module: 'counters', kind: 'get', body: { name } }),
    'counter.add': ({ delta = 1, ...params }) => propose('counters', 'add', { ...params, delta } as object),
    'counter.cas': (params) => propose('counters', 'cas', params),
    'counter.delete': (params) => propose('counters', 'delete', params),
    'counter.list': ({ limit = 100, ...params }) => {
      const body = { ...params, limit: Math.min(limit, 1_000) };
      return group().query<Result<'counter.list'>>({ module: 'counters', kind: 'list', body });
    },
    'sequence.next': ({ count = 1, ...params }) =>
      propose('counters', 'next', { ...params, count } as object),
    'ratelimit.take': ({ permits = 1, ...params }) =>
      propose('ratelimits', 'take', { ...params, permits } as object),
  };
}
