import type { PeerId } from '../../base/index.ts';
import { askedNow, ClaimClient, type ClaimRequest, validMs } from '../../lease/index.ts';
import type { Connection } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';

type ClaimKind = ClaimRequest['kind'];

/** Items of one page, at the most; the contract allows to ask for more. */
const PAGE_LIMIT = 200;

/** As the machine shows something that is held or waited for. */
interface ResourceView {
  readonly name: string;
  readonly capacity: number;
  readonly used: number;
  readonly holderCount: number;
  readonly waiterCount: number;
  readonly holders: readonly ClaimView[];
  readonly waiters: readonly ClaimView[];
  readonly revision: number | null;
}

interface ClaimView {
  readonly leaseId: string;
  readonly owner: PeerId;
  readonly units: number;
  readonly value: string | null;
  readonly fencingToken: number | null;
  readonly ttlMs: number;
  readonly remainingMs: number | null;
}

export interface HeldRef {
  readonly name: string;
  readonly leaseId: string;
  readonly requestId?: string | undefined;
}

interface ListParams {
  readonly prefix?: string | undefined;
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

export function claimClient({ node, platform, clock }: Daemon): ClaimClient {
  const { random, logger } = platform;
  const log = logger.child({ part: 'claims' });
  return new ClaimClient({ self: node.self, client: node.group.client, clock, random, log });
}

/** What the socket offers for one kind of claim. */
export function claimHandlers(daemon: Daemon, kind: ClaimKind, { capacity = 1 } = {}) {
  const propose = <R>(command: string, { requestId, ...body }: HeldRef): Promise<R> =>
    daemon.node.group.client.propose<R>({
      module: 'leases',
      kind: command,
      body: { ...body, kind },
      ...(requestId !== undefined && { requestId }),
    });
  return {
    claim: (
      {
        waitMs = 0,
        ...request
      }: Pick<ClaimRequest, 'name' | 'ttlMs'> &
        Partial<Pick<ClaimRequest, 'capacity' | 'units' | 'value' | 'requestId'>> & {
          readonly waitMs?: number | undefined;
        },
      { signal }: Connection,
    ) => claimClient(daemon).claim({ capacity, units: 1, value: null, ...request, kind, waitMs }, signal),
    renew: async (ref: HeldRef) => {
      const asked = askedNow(daemon.clock);
      const renewed = await propose<{ fencingToken: number; ttlMs: number }>('renew', ref);
      return { ...renewed, validMs: validMs(renewed.ttlMs, asked, daemon.clock) };
    },
    release: (ref: HeldRef) => propose<{ released: true }>('release', ref),
    get: async ({ name }: { readonly name: string }): Promise<MutableView> => {
      const body = { kind, name };
      const view = await daemon.node.group.client.query<ResourceView | null>({
        module: 'leases',
        kind: 'resource',
        body,
      });
      return plain(view ?? free(name, capacity));
    },
    list: async ({ limit = 100, ...params }: ListParams) => {
      const body = { ...params, kind, limit: Math.min(limit, PAGE_LIMIT) };
      const page = await daemon.node.group.client.query<{
        readonly items: readonly ResourceView[];
        readonly cursor?: string;
      }>({ module: 'leases', kind: 'resources', body });
      return { ...page, items: page.items.map(plain) };
    },
  };
}

type MutableView = Omit<ResourceView, 'holders' | 'waiters'> & {
  holders: ClaimView[];
  waiters: ClaimView[];
};

function plain({ name, capacity, used, holderCount, waiterCount, holders, waiters, revision }: ResourceView) {
  return {
    name,
    capacity,
    used,
    holderCount,
    waiterCount,
    holders: [...holders],
    waiters: [...waiters],
    revision,
  };
}

function free(name: string, capacity: number): ResourceView {
  return {
    name,
    capacity,
    used: 0,
    holderCount: 0,
    waiterCount: 0,
    holders: [],
    waiters: [],
    revision: null,
  };
}
