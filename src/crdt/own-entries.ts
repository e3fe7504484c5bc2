import type { PeerId } from '../base/index.ts';
import type { Entry } from './entry.ts';
import type { HybridClock } from './hlc.ts';
import type { LwwMap } from './lww-map.ts';

/** Sorts before the others: whoever is told all of an owner hears this first (C11). */
export const CERTIFICATE_KEY = 'certificate';
export const PROFILE_KEY = 'profile';
export const HEARTBEAT_KEY = 'heartbeat';
export const LINKS_KEY = 'links';
export const SUSPECTS_KEY = 'suspects';

const RENEWALS_PER_HORIZON = 4;

export interface OwnEntriesComponents {
  readonly self: PeerId;
  /** Which life of this node writes. */
  readonly incarnation: string;
  /** Signs as this node. @returns 64 bytes. */
  readonly sign: (bytes: Uint8Array) => Uint8Array;
  readonly hlc: HybridClock;
  /** What nodes tell of themselves. */
  readonly nodes: LwwMap;
  /** Passes on what stands at this key of this node. */
  readonly publish: (space: LwwMap, owner: PeerId, key: string) => void;
}

/** What this node writes in its own name: stamped, signed, kept, passed on. */
export class OwnEntries {
  readonly #components: OwnEntriesComponents;

  constructor(components: OwnEntriesComponents) {
    this.#components = components;
  }

  get(key: string): Entry | undefined {
    return this.#components.nodes.get(this.#components.self, key);
  }

  /** @param value undefined deletes the key everywhere. */
  write(key: string, value: Uint8Array | undefined): void {
    this.writeIn(this.#components.nodes, key, value);
  }

  writeIn(space: LwwMap, key: string, value: Uint8Array | undefined): void {
    const { self, incarnation, sign, hlc, publish } = this.#components;
    const { wallMs, counter } = hlc.now();
    const unsigned = { owner: self, incarnation, key, value, wallMs, counter };
    space.write({ ...unsigned, signature: sign(space.signedBytes(unsigned)) });
    publish(space, self, key);
  }

  /** Writes `value` unless the same is told already and need not be renewed. @returns whether it was written. */
  keepTold(key: string, value: Uint8Array): boolean {
    const told = this.get(key);
    const isSame = told?.value !== undefined && Buffer.compare(told.value, value) === 0;
    if (isSame && !this.isDueForRenewal(key)) return false;
    this.write(key, value);
    return true;
  }

  /** Whether what stands there comes near the age at which others collect it; false when nothing does. */
  isDueForRenewal(key: string): boolean {
    const { hlc, nodes } = this.#components;
    const told = this.get(key);
    return told !== undefined && hlc.timeMs - told.wallMs > nodes.horizonMs / RENEWALS_PER_HORIZON;
  }

  /** Says the same again, with the same stamp. */
  repeat(key: string): void {
    this.#components.publish(this.#components.nodes, this.#components.self, key);
  }

  deleteAll(): void {
    const { nodes, self } = this.#components;
    for (const { key } of [...nodes.entriesOf(self)]) this.write(key, undefined);
  }
}
