import type { Clock, Coordinate, Logger, PeerId, Random, Startable } from '../base/index.ts';
import type { Messenger, PeerLink, Transport } from '../mesh/index.ts';
import type { Store } from '../storage/index.ts';
import type { Bulletin, BulletinVerifier } from './bulletins.ts';
import type { NodeEntry } from './node-book.ts';
import type { NodeProfile, Progress } from './profile.ts';
import type { JobProgress } from './progress-book.ts';
import type { RegistryReaders } from './readers.ts';
import type { ReplicatorCounts, ReplicatorOptions } from './replicator.ts';
import type { RefutationRule } from './suspicion.ts';
import type { ToldLinkRow } from './whereabouts.ts';

export interface RegistryComponents {
  readonly self: PeerId;
  readonly incarnation: string;
  /** Signs as this node. @returns 64 bytes. */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
  /** @returns false for whoever is no member, or was revoked, and for a signature that does not hold. Never throws. */
  readonly verify: (peerId: PeerId, bytes: Uint8Array, signature: Uint8Array) => boolean;
  /** What proves that this node is a member, to tell everybody: in a large mesh most never meet it. @default it is not told */
  readonly certificate?: () => Uint8Array | undefined;
  /** Takes what another one tells to prove that it is a member; after that `verify` decides about what it says. Never throws. */
  readonly onCertificate?: (owner: PeerId, certificate: Uint8Array) => void;
  readonly clock: Clock;
  readonly random: Random;
  /** Keys begin with `crdt/`. */
  readonly store: Store;
  readonly gossip: Transport['gossip'];
  readonly messenger: Messenger;
  readonly logger: Logger;
  /** Measured round trips, for coordinates. Without it, the own coordinate stays at the origin. */
  readonly links?: () => readonly PeerLink[];
  /** Whether the end of a link with this peer was announced, so that it says nothing about its life. @default never */
  readonly hasParted?: (peerId: PeerId) => boolean;
  /** Tries to reach a peer whose link has ended; rejects when it cannot be reached. Without it nobody is missed. */
  readonly probe?: (peerId: PeerId, signal: AbortSignal) => Promise<void>;
  /** What refutes a suspicion; for simulations that plant a wrong one. @default a later sign of life */
  readonly refutation?: RefutationRule;
  /** For simulations of many nodes in one process, which share what they read alike. @default each reads for itself */
  readonly readers?: RegistryReaders;
  /** One verifier for each kind of bulletin. */
  readonly bulletinVerifiers?: Readonly<Record<string, BulletinVerifier>>;
  /** The registry cannot go on, e.g. the disk failed. @default it is logged */
  readonly onFailure?: (error: unknown) => void;
}

export interface RegistryOptions extends ReplicatorOptions {
  /** The mesh, so that what is signed for one means nothing in another. @default '' */
  readonly scope?: string;
  /** Pause between heartbeats in a small mesh. Unit: ms. @default 3_000 */
  readonly heartbeatEveryMs?: number;
  /** What each node adds to that pause: a heartbeat costs every node a signature check, and three sends. Unit: ms. @default 180 */
  readonly heartbeatEveryMsPerNode?: number;
  /** From so many nodes on those whose links end are missed: in a smaller mesh heartbeats are frequent enough. @default 24 */
  readonly missedFrom?: number;
  /** Age at which entries are collected and refused; profiles are renewed four times in it. Unit: ms. @default 86_400_000 */
  readonly horizonMs?: number;
  /** Pause between writes to disk. Unit: ms. @default 5_000 */
  readonly flushEveryMs?: number;
}

export type RegistryChange =
  /** A profile, or whether the node is alive. */
  { readonly type: 'node'; readonly peerId: PeerId } | { readonly type: 'progress'; readonly jobId: string };

export interface Bulletins {
  /** Keeps a document and passes it on. @returns whether it is valid; also true when it, or a better one of that key, was here already. */
  add(kind: string, key: string, bytes: Uint8Array): boolean;
  all(kind: string): readonly Bulletin[];
  /** Drops what the verifier of `kind` no longer accepts. */
  recheck(kind: string): void;
  /** Called for each new document, wherever it came from; not for those read from disk. */
  onAdded(callback: (bulletin: Bulletin) => void): Disposable;
}

/** What nodes tell each other about themselves, without asking anybody's leave: converges, goes on when cut off, merges later. */
export interface Registry extends Startable {
  /** Sets the own profile. @throws AspenError INVALID_PARAMS when it is over the limits of a profile. */
  announce(profile: NodeProfile): void;
  /** All nodes with a profile, this one included, by peer id. */
  nodes(): readonly NodeEntry[];
  node(peerId: PeerId): NodeEntry | undefined;
  /** Deletes the own profile everywhere: this node leaves for good. */
  withdraw(): void;
  /** Drops what is known of a node that no longer belongs; `verify` must refuse it from now on. */
  forget(peerId: PeerId): void;
  /**
   * Reports on an attempt that runs here; what an earlier attempt says after a later one has reported is dropped, and so is what comes while the
   * registry is stopped.
   * @throws AspenError INVALID_PARAMS when it is not valid progress, RESOURCE_EXHAUSTED when it is over 4 KiB.
   */
  publishProgress(jobId: string, fencingToken: number, progress: Progress): void;
  progressOf(jobId: string): JobProgress | undefined;
  readonly bulletins: Bulletins;
  /** Where this node stands in the space of round trips. */
  readonly coordinate: Coordinate;
  /** What a node tells of its own links; undefined when it has told nothing yet. */
  linksOf(peerId: PeerId): ToldLinkRow | undefined;
  /** This node's own links as they are now. */
  ownLinks(): ToldLinkRow;
  /** @returns the round trip to a node in ms: as measured where there is a link, else as the coordinates promise; undefined when neither is known. */
  rttTo(peerId: PeerId): number | undefined;
  onChange(callback: (change: RegistryChange) => void): Disposable;
  /** Equal on replicas that hold the same; heartbeats and links are left out, since they never rest. */
  digest(): string;
  counts(): ReplicatorCounts;
}
