import type { Coordinate, PeerId } from '../base/index.ts';

/** What a member may do; only a voter or a worker runs jobs. */
export type NodeRole = 'voter' | 'worker' | 'submitter' | 'observer';

export type Strategy = 'least-loaded' | 'round-robin' | 'spread';

/** All that placing a job needs to know of a node, as of one moment. */
export interface NodeView {
  readonly peerId: PeerId;
  /** The part of the node that this is a view of, where it offers several: an attached worker. */
  readonly pool?: string | null | undefined;
  readonly role: NodeRole;
  readonly labels: Readonly<Record<string, string>>;
  /** Job types it is willing to run. */
  readonly types: readonly string[];
  readonly freeSlots: number;
  readonly totalSlots: number;
  /** Slots beside these that attempts hold which were given up and which it has not answered, and the first of them. */
  readonly unanswered?:
    | { readonly count: number; readonly jobId: string; readonly attempt: number }
    | undefined;
  /** It missed renewals: no new work. */
  readonly isSuspect: boolean;
  /** A member without a session: it is known from what it told everybody before; `isSuspect` as well. */
  readonly isAbsent?: boolean | undefined;
  /** How long nothing was heard of it; shown to people. Unit: ms. */
  readonly silentForMs?: number | undefined;
  /** It finishes what it has and takes nothing more. */
  readonly isDraining?: boolean | undefined;
  readonly coordinate?: Coordinate | undefined;
  /** Blobs that it is known to hold, each by {@link blobMark}. */
  readonly blobs?: ReadonlySet<string> | undefined;
  /** Secrets that it may read, of those that were asked about. */
  readonly secrets?: ReadonlySet<string> | undefined;
  /** How busy the machine is, 0 (idle) to 1; slots decide where it is not known. */
  readonly load?: number | undefined;
}

/** How nodes tell each other which blobs they hold: the end of the id, which is part of a hash. */
export function blobMark(blobId: string): string {
  return blobId.slice(-16);
}

/** Where a job may and should run. */
export interface Placement {
  readonly type: string;
  readonly node?: { readonly peerId: PeerId; readonly mode: 'require' | 'prefer' } | undefined;
  /** Labels that the node must have. */
  readonly require?: Readonly<Record<string, string>> | undefined;
  /** Labels that rank a node higher. */
  readonly prefer?: Readonly<Record<string, string>> | undefined;
  /** Labels that rule a node out; the key `node` names a peer id. */
  readonly avoid?: Readonly<Record<string, string>> | undefined;
  /** A node to which the round trip should be short. */
  readonly near?: PeerId | undefined;
  /** Blobs the job reads: where more of them are, it should run rather. */
  readonly data?: readonly string[] | undefined;
  /** Secrets the job is given: only nodes that may read all of them fit. */
  readonly secrets?: readonly string[] | undefined;
  /** Jobs of one key meet on one node as long as it fits. */
  readonly key?: string | undefined;
  /** @default 'least-loaded' */
  readonly strategy?: Strategy | undefined;
  /** So many nodes at once. Ranking does not look at it. @default 1 */
  readonly nodes?: number | undefined;
  /** How long the dispatcher waits for a preferred node that is busy. Ranking does not look at it. Unit: ms. */
  readonly waitMs?: number | undefined;
}
