import type { GroupClient } from '../../lease/index.ts';
import type { Handlers, Params, Result } from '../../rpc/index.ts';

type DlqHandlers = Pick<Handlers, `dlq.${'list' | 'inspect' | 'redrive' | 'purge'}`>;

/** Dead jobs, as the socket offers them. */
export function dlqHandlers(group: () => GroupClient): DlqHandlers {
  const query = <R>(kind: string, body: object): Promise<R> =>
    group().query<R>({ module: 'jobs', kind, body });
  const move = <R>(kind: string, { requestId, ...params }: Params<'dlq.redrive'>): Promise<R> => {
    const body = Object.fromEntries(Object.entries(params).filter(([, value]) => value !== undefined));
    return group().propose<R>({
      module: 'jobs',
      kind,
      body,
      ...(requestId !== undefined && { requestId }),
    });
  };
  return {
    'dlq.list': (params) => query<Result<'dlq.list'>>('dlqList', params),
    'dlq.inspect': (params) => query<Result<'dlq.inspect'>>('dlqInspect', params),
    'dlq.redrive': (params) => move<Result<'dlq.redrive'>>('redrive', params),
    'dlq.purge': (params) => move<Result<'dlq.purge'>>('purgeDead', params),
  };
}
