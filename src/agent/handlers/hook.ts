import { AspenError, isWebUrl, newId } from '../../base/index.ts';
import type { Handlers, Result } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { addSigned, deleteSecretOf } from '../hook-secrets.ts';

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
    'hook.add': async ({ url, on, type = null, queue = null, labels = {}, secret, requestId }) => {
      checkUrl(url);
      const id = newId('hook', daemon.platform);
      const body = { id, url, on, type, queue, labels };
      const add = (secretName: string | null) =>
        propose<Result<'hook.add'>>('addHook', { ...body, secretName }, requestId);
      return secret === undefined ? add(null) : addSigned(daemon, { id, secret, add });
    },
    'hook.list': () => query<Result<'hook.list'>>('hooks', null),
    'hook.get': ({ id }) => query<Result<'hook.get'>>('hook', { id }),
    'hook.remove': async ({ id, requestId }) => {
      const removed = await propose<Result<'hook.remove'>>('removeHook', { id }, requestId);
      await deleteSecretOf(daemon, removed.id);
      return removed;
    },
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
