import type { AspenError, PeerId } from '../../base/index.ts';
import type { LeadingReplica } from '../leader-term.ts';
import type { Message } from '../raft/index.ts';
import { notLeader } from '../submission.ts';
import { Applier } from './applier.ts';
import { CommitNotices } from './commit-notices.ts';
import { type ReplicaComponents, ReplicaCore, type ReplicaOptions } from './core.ts';
import { ReplicaDisk } from './disk.ts';
import { DiskWatch } from './disk-watch.ts';
import { Duties } from './duties.ts';
import { Faults } from './faults.ts';
import { Leaderships } from './leaderships.ts';
import { Lives } from './lives.ts';
import { Proposals } from './proposals.ts';
import { Reads } from './reads.ts';
import { SnapshotsIn } from './snapshots-in.ts';
import { SnapshotsOut } from './snapshots-out.ts';

/** Batches that may wait behind the sync under way before proposals are held back, to be gathered into larger ones. */
const STAGED_LIMIT = 1;

export interface ReplicaParts {
  readonly core: ReplicaCore;
  readonly leaderships: Leaderships;
  readonly proposals: Proposals;
  readonly reads: Reads;
  readonly applier: Applier;
  readonly disk: ReplicaDisk;
  readonly diskWatch: DiskWatch;
  readonly faults: Faults;
  readonly lives: Lives;
  readonly snapshotsIn: SnapshotsIn;
  readonly snapshotsOut: SnapshotsOut;
}

export interface ReplicaSurroundings {
  /** What a leadership of this node is given to work with. */
  readonly leading: LeadingReplica;
  /** @returns peers that could not be reached. */
  readonly transmit: (messages: readonly Message[]) => readonly PeerId[];
}

/**
 * Puts the parts of a replica together. They call each other in a circle - a duty ends a leadership, which refuses proposals - so each is
 * given what it calls as a function.
 * @throws StorageFault `damaged` when what the store holds cannot be trusted.
 */
export function assembleReplica(
  components: ReplicaComponents,
  options: ReplicaOptions,
  { leading, transmit }: ReplicaSurroundings,
): ReplicaParts {
  const core = new ReplicaCore(components, options, {
    onTurn: () => duties.turn(),
    onReopened: () => {
      disk.reset();
      reads.reset();
    },
    onFailure: (error) => faults.fail(error),
  });
  const leaderships = new Leaderships(core, leading);
  const reads = new Reads(core, leaderships);
  const snapshotsOut = new SnapshotsOut(core, snapshotMethod(options));
  const faults = new Faults(core, () => dropWork({ leaderships, proposals, reads }, notLeader(null)));
  const disk = new ReplicaDisk(core, {
    onDurable: (staged) => duties.durable(staged),
    onFault: (error) => faults.onStorageFault(error),
    neededAfter: () => snapshotsOut.neededAfter(),
  });
  const proposals: Proposals = new Proposals(core, leaderships, {
    mayPropose: () => disk.stagedCount < STAGED_LIMIT,
    performNow: () => duties.performNow(),
  });
  const applier = new Applier(core, { proposals, leaderships, halt: (reason) => faults.halt(reason) });
  const duties: Duties = new Duties(core, {
    leaderships,
    proposals,
    reads,
    disk,
    applier,
    notices: new CommitNotices(core),
    transmit,
    endLeadership: () => endLeadership({ leaderships, proposals }),
    sendSnapshot: (peer) => core.tasks.run((signal) => snapshotsOut.send(peer, signal)),
  });
  const lives = new Lives(core, { leaderships, disk, faults });
  const snapshotsIn = new SnapshotsIn(core, {
    disk,
    performAll: () => duties.performAll(),
    onStorageFault: (error) => faults.onStorageFault(error),
  });
  const diskWatch = new DiskWatch(core, disk);
  return {
    core,
    leaderships,
    proposals,
    reads,
    applier,
    disk,
    diskWatch,
    faults,
    lives,
    snapshotsIn,
    snapshotsOut,
  };
}

export function snapshotMethod({ group }: ReplicaOptions): string {
  return `raft/${group}/snapshot`;
}

/** Ends the leadership, and refuses whoever waits for anything. */
export function dropWork(
  { leaderships, proposals, reads }: Pick<ReplicaParts, 'leaderships' | 'proposals' | 'reads'>,
  reason: AspenError,
): void {
  endLeadership({ leaderships, proposals });
  reads.failAll(() => reason);
  proposals.failWaiting(reason);
}

function endLeadership({ leaderships, proposals }: Pick<ReplicaParts, 'leaderships' | 'proposals'>): void {
  leaderships.end();
  proposals.abandon();
}
