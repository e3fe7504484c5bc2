import type { NodeRole, NodeView } from '../affinity/index.ts';
import type { Clock, Coordinate, PeerId } from '../base/index.ts';
import type { Leadership, SessionKeeper } from '../lease/index.ts';
import { secretReaders } from './named-secrets.ts';
import type { Line } from './plan.ts';
import type { WorkerReport } from './wire.ts';

export interface NodeOffersComponents {
  readonly leadership: Pick<Leadership, 'read'>;
  readonly sessions: Pick<SessionKeeper, 'find'>;
  readonly clock: Clock;
  /** The role in a node's certificate; undefined for no member. */
  readonly roleOf: (peerId: PeerId) => NodeRole | undefined;
  /** Where a node is in the network. @default nobody knows */
  readonly coordinateOf?: ((peerId: PeerId) => Coordinate | undefined) | undefined;
  /** Which blobs a node told that it holds, each by its mark. @default nobody knows */
  readonly blobsOf?: ((peerId: PeerId) => ReadonlySet<string> | undefined) | undefined;
}

/** What jobs name of which it has to be known where it is. */
export interface NamedByJobs {
  readonly isDataNamed: boolean;
  readonly secrets: ReadonlySet<string> | undefined;
}

/** @returns attempts that a pool of a node has been given. */
type CountOf = (peerId: PeerId, pool: string | null) => number;

/**
 * What nodes offer, as they reported it last, and as placement sees it.
 *
 * - P7 A node offers pools: what it runs itself, and each attached worker. Slots are counted for each pool, and an assignment names one.
 * - P15 What gave an attempt back, because it has gone, is stopping, heard of it too late or lost its hold on it, is given nothing more until
 *   its node reports again: the session that it was given to may be over.
 */
export class NodeOffers {
  readonly #components: NodeOffersComponents;
  readonly #reports = new Map<PeerId, WorkerReport & { readonly sessionId: string }>();

  constructor(components: NodeOffersComponents) {
    this.#components = components;
  }

  take(peerId: PeerId, sessionId: string, report: WorkerReport): void {
    this.#reports.set(peerId, { ...report, sessionId });
  }

  forget(peerId: PeerId): void {
    this.#reports.delete(peerId);
  }

  /** The session under which the node reported. */
  sessionOf(peerId: PeerId): string | undefined {
    return this.#reports.get(peerId)?.sessionId;
  }

  /** P15 */
  stop(peerId: PeerId, pool: string | null): void {
    const report = this.#reports.get(peerId);
    if (report === undefined) return;
    const pools = report.pools.map((one) => (one.id === pool ? { ...one, isDraining: true } : one));
    this.#reports.set(peerId, { ...report, pools, isDraining: report.isDraining || pool === null });
  }

  /** P2, P7: the pools of a node stand together, what it runs itself first. */
  views(named: NamedByJobs, countOf: CountOf): NodeView[] {
    const { sessions, clock, roleOf, coordinateOf } = this.#components;
    const blobsOf = named.isDataNamed ? this.#components.blobsOf : undefined;
    const secretsOf = this.secretsOf(named);
    const views: NodeView[] = [];
    for (const [peerId, report] of [...this.#reports].sort(byPeerId)) {
      const session = sessions.find(peerId);
      const role = roleOf(peerId);
      if (session === undefined || role === undefined) continue;
      const isSuspect = session.isSuspect || session.sessionId !== report.sessionId;
      const silentForMs = clock.monotonicMs() - session.lastRenewalMs;
      const coordinate = coordinateOf?.(peerId);
      const blobs = blobsOf?.(peerId);
      const secrets = secretsOf?.(peerId);
      for (const pool of poolsOf(report)) {
        const freeSlots = Math.max(0, pool.totalSlots - countOf(peerId, pool.pool));
        views.push({ ...pool, peerId, role, freeSlots, isSuspect, silentForMs, coordinate, blobs, secrets });
      }
    }
    return views;
  }

  /** N1 @returns undefined where no job names a secret. */
  secretsOf({ secrets }: NamedByJobs): ((peerId: PeerId) => ReadonlySet<string>) | undefined {
    if (secrets === undefined) return undefined;
    return this.#components.leadership.read(({ module }) => secretReaders(secrets, module('jobs')));
  }
}

/** Only what waiting jobs name is looked up: who holds what, and who may read what. */
export function namedBy(lines: Iterable<Pick<Line, 'placement'>>): NamedByJobs {
  let isDataNamed = false;
  let secrets: Set<string> | undefined;
  for (const { placement } of lines) {
    isDataNamed ||= placement.data !== undefined;
    if (placement.secrets === undefined) continue;
    secrets ??= new Set();
    for (const name of placement.secrets) secrets.add(name);
  }
  return { isDataNamed, secrets };
}

function byPeerId([left]: readonly [PeerId, unknown], [right]: readonly [PeerId, unknown]): number {
  return left < right ? -1 : 1;
}

/** What a node offers, pool by pool. The labels of an attached worker add to those of its node, and win over them. */
function poolsOf({ types, labels, slots, isDraining, pools }: WorkerReport) {
  const own = { pool: null, types, labels, totalSlots: slots, unanswered: undefined, isDraining };
  const attached = pools.map((pool) => ({
    pool: pool.id,
    types: pool.types,
    labels: { ...labels, ...pool.labels },
    totalSlots: pool.slots,
    unanswered: pool.unanswered,
    isDraining: isDraining || pool.isDraining,
  }));
  return [own, ...attached];
}
