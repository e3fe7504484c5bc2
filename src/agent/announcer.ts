import { blobMark } from '../affinity/index.ts';
import type { Blobs } from '../blobs/index.ts';
import type { NodeProfile, Registry } from '../crdt/index.ts';
import type { WorkerHost } from '../jobs/index.ts';
import type { Group } from '../lease/index.ts';
import type { Mesh, Role } from '../mesh/index.ts';
import type { DrainBook } from './drain-book.ts';
import type { LabelBook } from './label-book.ts';
import type { Platform } from './platform.ts';
import type { MachinePower } from './power.ts';

export interface AnnouncerComponents {
  readonly platform: Platform;
  readonly registry: Registry;
  readonly group: Pick<Group, 'status'>;
  readonly mesh: Pick<Mesh, 'reach'>;
  readonly worker: Pick<WorkerHost, 'offer'>;
  readonly labels: LabelBook;
  readonly drain: DrainBook;
  readonly blobs: Pick<Blobs, 'store'>;
  readonly role: () => Role;
  readonly power: () => MachinePower;
  /** What this machine is, and how its workers do. */
  readonly machine: () => Readonly<Record<string, string>>;
}

export interface AnnouncerOptions {
  /** The name of the node. */
  readonly name: string;
}

/** What others take of the offer of a node. */
const ADDRESSES_LIMIT = 32;
const TYPES_LIMIT = 64;
const BLOBS_LIMIT = 64;
const SLOTS_LIMIT = 1_000_000;

/** Puts together what this node tells everybody about itself, and tells it when it has changed. */
export class Announcer {
  readonly #components: AnnouncerComponents;
  readonly #name: string;
  readonly #startedAtMs: number;
  #announced = '';

  constructor(components: AnnouncerComponents, { name }: AnnouncerOptions) {
    this.#components = components;
    this.#name = name;
    this.#startedAtMs = components.platform.clock.wallMs();
  }

  announce(): void {
    const profile = this.#profile();
    const text = JSON.stringify(profile);
    if (text === this.#announced) return;
    this.#announced = text;
    this.#components.registry.announce(profile);
  }

  #profile(): NodeProfile {
    const { platform, group, mesh, worker, labels, drain, role, machine, power } = this.#components;
    const { types, slots } = worker.offer();
    const { source } = power();
    return {
      name: this.#name,
      labels: { ...labels.all() },
      version: platform.version,
      role: role(),
      addresses: mesh.reach.addresses().slice(0, ADDRESSES_LIMIT),
      types: types.slice(0, TYPES_LIMIT),
      slots: Math.min(slots, SLOTS_LIMIT),
      groupRole: group.status().role,
      ...(source !== null && { power: source }),
      startedAtMs: this.#startedAtMs,
      startCount: platform.directory.bootCount,
      ...(drain.isDraining && { isDraining: true }),
      ...(mesh.reach.isRelay && { isRelay: true }),
      ...this.#heldBlobs(),
      ...this.#sealingKey(),
      machine: machine(),
    };
  }

  #sealingKey(): { readonly sealingKey?: string } {
    const { sealingKey } = this.#components.platform;
    return sealingKey === undefined ? {} : { sealingKey: Buffer.from(sealingKey).toString('base64') };
  }

  /** In the order of their names, so that nothing is told again because one was read. */
  #heldBlobs(): { readonly blobs?: readonly string[] } {
    const newest = this.#components.blobs.store.newest(BLOBS_LIMIT);
    return newest.length === 0 ? {} : { blobs: newest.map((id) => blobMark(id)).sort() };
  }
}
