import { newId } from '../../base/index.ts';
import { askedNow, validMs } from '../../lease/index.ts';
import type { Handlers, Result } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { claimClient } from './claims.ts';
import { Subscriptions } from './subscriptions.ts';

type ServiceHandlers = Pick<
  Handlers,
  `service.${'register' | 'deregister' | 'get' | 'list' | 'watch' | 'watchStop'}`
>;

/** A service as the machine shows it. */
interface ServiceView {
  readonly endpoints: readonly {
    readonly leaseId: string;
    readonly address: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly owner: string;
  }[];
  readonly revision: number | null;
}

/** Services, as the socket offers them. */
export function serviceHandlers(daemon: Daemon): ServiceHandlers {
  const group = () => daemon.node.group.client;
  const watchers = new Subscriptions(daemon, 'service.watchEnd');
  return {
    'service.register': async ({ requestId, leaseId, ttlMs = null, labels = {}, ...rest }) => {
      const asked = askedNow(daemon.clock);
      const id = leaseId ?? newId('lse', daemon.platform);
      const body = { ...rest, labels, ttlMs, leaseId: id, owner: daemon.node.self };
      const registered = await group().propose<{ leaseId: string; ttlMs: number }>({
        module: 'leases',
        kind: 'register',
        body,
        ...(requestId !== undefined && { requestId }),
      });
      if (leaseId !== undefined) return registered;
      return { ...registered, validMs: validMs(registered.ttlMs, asked, daemon.clock) };
    },
    'service.deregister': ({ requestId, ...body }) =>
      group().propose<Result<'service.deregister'>>({
        module: 'leases',
        kind: 'deregister',
        body,
        ...(requestId !== undefined && { requestId }),
      }),
    'service.get': async ({ name, labels = {} }) => {
      const query = { module: 'leases', kind: 'service', body: { name } };
      return shown(name, await group().query<ServiceView | null>(query), labels);
    },
    'service.list': ({ limit = 100, ...params }) => {
      const body = { ...params, limit: Math.min(limit, 1_000) };
      return group().query<Result<'service.list'>>({ module: 'leases', kind: 'services', body });
    },
    'service.watch': async ({ name }, connection) =>
      watchers.open('service.changed', connection, (signal) => changesOf(daemon, name, signal)),
    'service.watchStop': async ({ subscription }, connection) => watchers.close(subscription, connection),
  };
}

async function* changesOf(daemon: Daemon, name: string, signal: AbortSignal) {
  for await (const view of claimClient(daemon).watchService(name, signal)) yield shown(name, view, {});
}

function shown(name: string, view: ServiceView | null, labels: Readonly<Record<string, string>>) {
  const fits = (own: Readonly<Record<string, string>>) =>
    Object.entries(labels).every(([key, value]) => Object.hasOwn(own, key) && own[key] === value);
  const endpoints = (view?.endpoints ?? [])
    .filter((endpoint) => fits(endpoint.labels))
    .map(({ leaseId, address, labels: own, owner }) => ({ leaseId, address, labels: { ...own }, owner }));
  return { name, endpoints, revision: view?.revision ?? null };
}
