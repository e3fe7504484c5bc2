import type { PeerId } from '../../base/index.ts';
import type { Blobs } from '../../blobs/index.ts';
import type { Registry } from '../../crdt/index.ts';
import type { OutputStore, WorkerHost } from '../../jobs/index.ts';
import type { Group } from '../../lease/index.ts';
import type { MembershipGate, Mesh } from '../../mesh/index.ts';
import type { Acquaintances } from '../acquaintances.ts';
import type { DrainBook } from '../drain-book.ts';
import type { LabelBook } from '../label-book.ts';
import type { MembershipClient } from '../membership-client.ts';
import type { PayloadBlobs } from '../payload-blobs.ts';
import type { Platform } from '../platform.ts';
import type { MachinePower } from '../power.ts';

/**
 * The parts of a node by name, in the order in which they come into being: what is called later may use all of them, what runs while a part is made
 * only those before it.
 */
export interface NodeRooms {
  readonly self: PeerId;
  readonly platform: Platform;
  /** What this machine runs on. */
  readonly power: MachinePower;
  readonly labels: LabelBook;
  readonly drain: DrainBook;
  readonly gate: MembershipGate;
  /** The other members as these parts ask for them. */
  readonly acquaintances: Acquaintances;
  readonly mesh: Mesh;
  readonly registry: Registry;
  readonly group: Group;
  readonly members: MembershipClient;
  readonly blobs: Blobs;
  readonly payloads: PayloadBlobs;
  readonly outputs: OutputStore;
  readonly worker: WorkerHost;
}
