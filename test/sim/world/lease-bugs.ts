import type { Daemon } from '../../../src/agent/index.ts';
import type { CallOptions } from '../../../src/lease/index.ts';
import type { MachineModule } from '../../../src/lease/machine/index.ts';

interface Renewed {
  readonly sequence: number;
  readonly orders: { readonly assign: unknown; readonly abort: unknown; readonly holds: unknown };
}

/**
 * A leader acknowledges renewals without asking a majority whether it still is one; deposed, and as long as it knows no other, it goes on to
 * acknowledge those of its own worker, with the holds that it granted last.
 */
export function stillRenewing({ node: { group } }: Daemon): void {
  group.onLeadership((leadership) => {
    leadership.confirm = () => Promise.resolve();
    return undefined;
  });
  const { client } = group;
  const askLeader = client.askLeader.bind(client);
  let last: Renewed | undefined;
  client.askLeader = async <R>(method: string, body: unknown, options?: CallOptions): Promise<R> => {
    if (method !== 'session/renew') return askLeader<R>(method, body, options);
    if (last !== undefined && group.status().leader === null) {
      const { sequence } = body as Renewed;
      return { sequence, orders: { ...last.orders, assign: [], abort: [] } } as R;
    }
    const answer = await askLeader<R>(method, body, options);
    last = group.leadership === undefined ? undefined : (answer as Renewed);
    return answer;
  };
}

/** A node that slept goes on in the name of its session as if it had been awake. */
export function asIfAwake({ node: { group } }: Daemon): void {
  group.session.checkSleep = () => true;
}

/** Where tables are there already when a replica begins with them, they came in a snapshot; unless agents die, which these do not. */
export function twiceWhenDerived(module: MachineModule): MachineModule {
  const { derive, commands } = module;
  const { put } = commands;
  if (derive === undefined || put === undefined) throw new Error('the kv module is another one');
  const fresh = new WeakSet<object>();
  return {
    ...module,
    derive: (tables) => {
      const derived = derive(tables);
      const [change] = tables.table('history').range({ limit: 1 });
      if (change !== undefined) fresh.add(derived);
      return derived;
    },
    commands: {
      ...commands,
      put: {
        ...put,
        apply: (body, context) => {
          if (fresh.delete(context.derived())) put.apply(body, context);
          return put.apply(body, context);
        },
      },
    },
  };
}

interface Told {
  readonly fencingToken: number | null;
  readonly ttlMs: number;
}

/** What every replica was told last of each claim stands, though the claim has ended. */
export function renewingWhatHasEnded(module: MachineModule): MachineModule {
  const { renew } = module.commands;
  if (renew === undefined) throw new Error('the leases module is another one');
  const told = new Map<string, Told>();
  const leaseOf = (body: unknown) => (body as { readonly leaseId: string }).leaseId;
  const renewed: typeof renew = {
    ...renew,
    apply: (body, context) => {
      const known = told.get(leaseOf(body));
      try {
        const now = renew.apply(body, context) as Told;
        told.set(leaseOf(body), now);
        return now;
      } catch (error) {
        if (known === undefined) throw error;
        return known;
      }
    },
  };
  return { ...module, commands: { ...module.commands, renew: renewed } };
}

/** A watch begins one revision after the one it was asked to begin with. */
export function skippingFirst({ node: { group } }: Daemon): void {
  const { kvWatcher } = group;
  const watch = kvWatcher.watch.bind(kvWatcher);
  kvWatcher.watch = ({ filter, fromRevision }, signal) =>
    watch({ filter, fromRevision: fromRevision + 1 }, signal);
}
