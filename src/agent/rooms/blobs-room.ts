import { BlobStore, Blobs, MemoryBlobDisk } from '../../blobs/index.ts';
import { roleAllows } from '../../mesh/index.ts';
import type { AgentConfig } from '../config.ts';
import { forgottenJobs } from '../forgotten-jobs.ts';
import { PayloadBlobs } from '../payload-blobs.ts';
import type { NodeRooms } from './node-rooms.ts';

export interface BlobsRoomComponents {
  readonly config: AgentConfig;
  readonly onFatal: (error: unknown) => void;
}

/** What lies here of the data that jobs read and write, and how it goes from node to node. */
export function createNodeBlobs(rooms: NodeRooms, { config, onFatal }: BlobsRoomComponents): Blobs {
  const { self, platform, mesh, group, acquaintances } = rooms;
  const { clock, random, crypto, logger, blobDisk = new MemoryBlobDisk() } = platform;
  return new Blobs({
    self,
    store: new BlobStore(
      { disk: blobDisk, crypto, clock, random, log: logger },
      { quotaBytes: config.blobQuotaBytes },
    ),
    messenger: mesh.messenger,
    clock,
    crypto,
    random,
    log: logger.child({ part: 'blobs' }),
    mayKeep: (peerId) => roleAllows(acquaintances.roleOf(peerId) ?? 'observer', 'submitter'),
    connect: (peerId, signal) => mesh.connector.connect(peerId, signal),
    forgottenJobs: (jobIds) => forgottenJobs(group.client, jobIds),
    onFailure: onFatal,
  });
}

/** Payloads that are too large for a record travel as blobs. */
export function createNodePayloads({ self, blobs, platform, acquaintances }: NodeRooms): PayloadBlobs {
  return new PayloadBlobs({
    self,
    blobs,
    clock: platform.clock,
    workers: () => acquaintances.linkedWorkers(),
  });
}
