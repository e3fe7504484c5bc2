import type { GroupClient } from '../../lease/index.ts';
import type { Handlers, Result } from '../../rpc/index.ts';

type QueueHandlers = Pick<
  Handlers,
  | `queue.${'list' | 'pause' | 'resume' | 'limit' | 'limitType' | 'limitAll'}`
  | `namespace.${'list' | 'limit'}`
>;

type Limits = Result<'queue.limitAll'>['limits'];

/** Queues and what bounds jobs, as the socket offers them. */
export function queueHandlers(group: () => GroupClient): QueueHandlers {
  const query = <R>(kind: string, body: object | null): Promise<R> =>
    group().query<R>({ module: 'jobs', kind, body });
  const propose = <R>(kind: string, body: object, requestId: string | undefined): Promise<R> =>
    group().propose<R>({ module: 'jobs', kind, body, ...(requestId !== undefined && { requestId }) });
  const limit = (scope: string, name: string, patch: object, requestId: string | undefined) =>
    propose<Limits>('limit', { scope, name, ...withoutUndefined(patch) }, requestId);
  return {
    'queue.list': (params) => query<Result<'queue.list'>>('queues', params),
    'queue.pause': ({ queue, reason = null, requestId }) =>
      propose<Result<'queue.pause'>>('pauseQueue', { queue, reason }, requestId),
    'queue.resume': ({ queue, requestId }) =>
      propose<Result<'queue.resume'>>('resumeQueue', { queue }, requestId),
    'queue.limit': async ({ queue, requestId, ...patch }) => {
      const limits = await limit('queue', queue, patch, requestId);
      const { queues } = await query<Result<'queue.list'>>('queues', { queue });
      return { ...(queues[0] as Result<'queue.limit'>), limits };
    },
    'queue.limitType': async ({ type, requestId, ...patch }) => ({
      type,
      limits: await limit('type', type, patch, requestId),
    }),
    'queue.limitAll': async ({ requestId, ...patch }) => ({
      limits: await limit('group', '', patch, requestId),
    }),
    'namespace.list': () => query<Result<'namespace.list'>>('limits', null),
    'namespace.limit': async ({ namespace, requestId, ...patch }) => ({
      namespace,
      limits: await limit('namespace', namespace, patch, requestId),
    }),
  };
}

function withoutUndefined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
