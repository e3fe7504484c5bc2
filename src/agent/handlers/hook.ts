import { AspenError, isWebUrl, newId } from '../../base/index.ts';
import type { Handlers, Result } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';

type HookHandlers = Pick<Handlers, `hook.${'add' | 'list' | 'get' | 'remove' | 'test' | 'pause' | 'resume'}`>;

/** Hooks, as the socket offers them. */
export function hookHandlers(daemon: Daemon): HookHandlers {
  const query = <R>(kind: string, body: object | null): Promise<R> =>
    daemon.node.group.client.query<R>({ module: 'jobs', kind, body });
  const propose = <R>(kind: string, body: object, requestId: string | undefined): Promise<R> =>
    daemon.node.group.client.propose<R>({
      module: 'jobs',
      kind,
      body,
      ...(requestId !== undefined && { requestId }),
    });
  return {
    'hook.add': async ({ url, on, type = null, queue = null, labels = {}, secret = null, requestId }) => {
      checkUrl(url);
      const id = newId('hook', daemon.platform);
      return propose<Result<'hook.add'>>('addHook', { id, url, on, type, queue, labels, secret }, requestId);
    },
    'hook.list': () => query<Result<'hook.list'>>('hooks', null),
    'hook.get': ({ id }) => query<Result<'hook.get'>>('hook', { id }),
    'hook.remove': ({ id, requestId }) => propose<Result<'hook.remove'>>('removeHook', { id }, requestId),
    'hook.test': ({ id, requestId }) => propose<Result<'hook.test'>>('testHook', { id }, requestId),
    'hook.pause': ({ id, reason = null, requestId }) =>
      propose<Result<'hook.pause'>>('pauseHook', { id, reason }, requestId),
    'hook.resume': ({ id, requestId }) => propose<Result<'hook.resume'>>('resumeHook', { id }, requestId),
  };
}

/** @throws AspenError INVALID_PARAMS */
function checkUrl(url: string): void {
  if (isWebUrl(url)) return;
  const message = 'must be an http:// or https:// URL without a user name';
  throw new AspenError('INVALID_PARAMS', `url: ${message}`, {
    details: { issues: [{ path: 'url', message }] },
  });
}
