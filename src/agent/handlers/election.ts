import type { Handlers } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { claimClient, claimHandlers } from './claims.ts';
import { Subscriptions } from './subscriptions.ts';

type ElectionHandlers = Pick<
  Handlers,
  `election.${'campaign' | 'renew' | 'proclaim' | 'resign' | 'leader' | 'list' | 'observe' | 'observeStop'}`
>;

/** What an election needs of a claimed thing. */
interface Candidates {
  readonly holders: readonly {
    readonly value: string | null;
    readonly leaseId: string;
    readonly fencingToken: number | null;
    readonly owner: string;
    readonly ttlMs: number;
    readonly remainingMs: number | null;
  }[];
  readonly waiterCount: number;
}

/** Elections, as the socket offers them. */
export function electionHandlers(daemon: Daemon): ElectionHandlers {
  const election = claimHandlers(daemon, 'election');
  const observers = new Subscriptions(daemon, 'election.observeEnd');
  return {
    'election.campaign': election.claim,
    'election.renew': election.renew,
    'election.resign': election.release,
    'election.list': election.list,
    'election.leader': async ({ name }) => electedOf(await election.get({ name })),
    'election.proclaim': async ({ requestId, ...body }) => {
      const { client } = daemon.node.group;
      await client.propose({
        module: 'leases',
        kind: 'proclaim',
        body,
        ...(requestId !== undefined && { requestId }),
      });
      return { proclaimed: true };
    },
    'election.observe': async ({ name }, connection) =>
      observers.open('election.changed', connection, (signal) => changesOf(daemon, name, signal)),
    'election.observeStop': async ({ subscription }, connection) => observers.close(subscription, connection),
  };
}

async function* changesOf(daemon: Daemon, name: string, signal: AbortSignal) {
  for await (const view of claimClient(daemon).observe('election', name, signal)) {
    yield { name, ...electedOf(view) };
  }
}

function electedOf(candidates: Candidates | null) {
  const [holder] = candidates?.holders ?? [];
  const leader =
    holder === undefined
      ? null
      : {
          value: holder.value ?? '',
          leaseId: holder.leaseId,
          fencingToken: holder.fencingToken ?? 0,
          owner: holder.owner,
          ttlMs: holder.ttlMs,
          remainingMs: holder.remainingMs ?? 0,
        };
  return { leader, candidateCount: candidates?.waiterCount ?? 0 };
}
