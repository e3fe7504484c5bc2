import { Listeners, type PeerId } from '../base/index.ts';
import { compareEntries, type Entry, fromWire, markOf, signedBytes, toWire } from './entry.ts';
import { refusalOf } from './hlc.ts';
import {
  addMark,
  type Refusal,
  removeMark,
  type Space,
  type Stamp,
  type Verdict,
  type Via,
} from './space.ts';

export interface LwwMapComponents {
  /** @returns whether `owner` is a member that may write, and signed these bytes, which are those of `entry`. */
  readonly verify: (owner: PeerId, bytes: Uint8Array, signature: Uint8Array, entry: Entry) => boolean;
  readonly wallMs: () => number;
  /** @default {@link fromWire} */
  readonly readEntry?: ((foreign: unknown) => Entry | undefined) | undefined;
}

export interface LwwMapOptions {
  readonly name: string;
  /** The mesh: entries signed for another are refused. @default '' */
  readonly scope?: string;
  /** Entries older than this are collected, and refused when they arrive. Owners renew what shall stay. Unit: ms. @default 86_400_000 */
  readonly horizonMs?: number;
  /** Keys of one owner, tombstones included; the oldest gives way. @default 64 */
  readonly entriesPerOwnerLimit?: number;
  /** @default 32_768 */
  readonly valueBytesLimit?: number;
  /** @default 10_000 */
  readonly ownersLimit?: number;
  /** All values together. @default 67_108_864 */
  readonly totalBytesLimit?: number;
}

/** An entry that a replica has just taken over. */
export interface AppliedEntry {
  readonly entry: Entry;
  readonly via: Via;
}

interface Owned {
  readonly entries: Map<string, Entry>;
  hash: number;
}

/** An entry that is about to be collected is not worth telling others, whose clocks may differ. Unit: ms. */
const COLLECTION_MARGIN_MS = 120_000;

/**
 * A last-writer-wins map: the state of a replica is a function of the set of entries it was offered, in whatever order and however often.
 *
 * - C1 Of two versions of a key the later one stays ({@link compareEntries} is a total order), so merging commutes, associates, and is idempotent.
 * - C2 Only the owner writes its keys: whoever relayed an entry, the owner's signature over place, key, value and time must hold.
 * - C3 What was collected cannot come back: collecting and refusing look at the same horizon.
 * - C4 Bounded: an owner has at most `entriesPerOwnerLimit` entries, the latest ones. Which those are does not depend on the order of arrival,
 *   since versions of a key only get later: whatever was pushed out once stays out.
 * - C5 Stamps too far ahead of the own wall clock are refused.
 */
export class LwwMap implements Space {
  readonly name: string;
  readonly #components: LwwMapComponents;
  readonly #options: Required<LwwMapOptions>;
  readonly #owners = new Map<string, Owned>();
  readonly #applied = new Listeners<AppliedEntry>();
  #totalBytes = 0;
  /** No entry is older: what says so spares the walk through all of them. Wall time, ms. */
  #earliestMs = Number.POSITIVE_INFINITY;

  constructor(components: LwwMapComponents, options: LwwMapOptions) {
    this.name = options.name;
    this.#components = components;
    this.#options = {
      scope: '',
      horizonMs: 86_400_000,
      entriesPerOwnerLimit: 64,
      valueBytesLimit: 32_768,
      ownersLimit: 10_000,
      totalBytesLimit: 64 * 2 ** 20,
      ...options,
    };
  }

  get horizonMs(): number {
    return this.#options.horizonMs;
  }

  get ownerCount(): number {
    return this.#owners.size;
  }

  /** @returns the bytes that the owner of an entry signs. */
  signedBytes(entry: Omit<Entry, 'signature'>): Uint8Array {
    return signedBytes({ scope: this.#options.scope, space: this.name }, entry);
  }

  /** Called after an entry was taken over, and before `offer` returns. */
  onApplied(callback: (applied: AppliedEntry) => void): Disposable {
    return this.#applied.add(callback);
  }

  offer(foreign: unknown, via: Via): Verdict {
    const entry = (this.#components.readEntry ?? fromWire)(foreign);
    return entry === undefined ? 'malformed' : this.merge(entry, via);
  }

  merge(entry: Entry, via: Via): Verdict {
    const current = this.get(entry.owner, entry.key);
    if (current !== undefined && compareEntries(entry, current) <= 0) return 'known'; // C1
    const refusal = this.#refuse(entry, current);
    if (refusal !== undefined) return refusal;
    this.#put(entry);
    this.#applied.emit({ entry, via });
    return 'applied';
  }

  /** Takes over what this node wrote itself, whatever was there: the owner decides. */
  write(entry: Entry): void {
    this.#put(entry);
    this.#applied.emit({ entry, via: 'self' });
  }

  get(owner: string, key: string): Entry | undefined {
    return this.#owners.get(owner)?.entries.get(key);
  }

  entriesOf(owner: string): Iterable<Entry> {
    return this.#owners.get(owner)?.entries.values() ?? [];
  }

  owners(): IterableIterator<string> {
    return this.#owners.keys();
  }

  /** Drops what is older than the horizon. @returns what was dropped. */
  collect(): Entry[] {
    const oldestMs = this.#components.wallMs() - this.#options.horizonMs;
    if (this.#earliestMs >= oldestMs) return [];
    const old: Entry[] = [];
    this.#earliestMs = Number.POSITIVE_INFINITY;
    for (const { entries } of this.#owners.values()) {
      for (const entry of entries.values()) {
        if (entry.wallMs < oldestMs) old.push(entry);
        else this.#earliestMs = Math.min(this.#earliestMs, entry.wallMs);
      }
    }
    for (const entry of old) this.#drop(entry);
    return old;
  }

  /** Drops all of an owner that no longer belongs. Its entries stay out as long as `verify` refuses it. */
  forget(owner: string): void {
    for (const entry of [...this.entriesOf(owner)]) this.#drop(entry);
  }

  hashes(): Iterable<readonly [string, number]> {
    return this.#owners.entries().map(([owner, { hash }]) => [owner, hash] as const);
  }

  hashOf(owner: string): number | undefined {
    return this.#owners.get(owner)?.hash;
  }

  stampsOf(owner: string): readonly Stamp[] {
    const oldestMs = this.#components.wallMs() - this.#options.horizonMs + COLLECTION_MARGIN_MS;
    return [...this.entriesOf(owner)]
      .filter(({ wallMs }) => wallMs >= oldestMs)
      .sort((left, right) => (left.key < right.key ? -1 : 1))
      .map((entry) => [entry.key, entry.wallMs, entry.counter, markOf(entry)]);
  }

  wireOf(owner: string, key: string): unknown {
    const entry = this.get(owner, key);
    return entry === undefined ? undefined : toWire(entry);
  }

  /** Cheap checks first: a signature costs a hundred times as much as all others. */
  #refuse(entry: Entry, current: Entry | undefined): Refusal | undefined {
    const nowMs = this.#components.wallMs();
    if (refusalOf(entry, nowMs) !== undefined) return 'future'; // C5
    if (entry.wallMs < nowMs - this.#options.horizonMs) return 'expired'; // C3
    if (sizeOf(entry) > this.#options.valueBytesLimit) return 'limit';
    if (!this.#hasRoom(entry, current)) return 'limit'; // C4
    const bytes = this.signedBytes(entry);
    const isSigned = this.#components.verify(entry.owner, bytes, entry.signature, entry);
    return isSigned ? undefined : 'not-signed'; // C2
  }

  #hasRoom(entry: Entry, current: Entry | undefined): boolean {
    const { entriesPerOwnerLimit, ownersLimit, totalBytesLimit } = this.#options;
    const owned = this.#owners.get(entry.owner);
    if (owned === undefined && this.#owners.size >= ownersLimit) return false;
    if (this.#totalBytes + sizeOf(entry) - (current === undefined ? 0 : sizeOf(current)) > totalBytesLimit)
      return false;
    if (owned === undefined || current !== undefined || owned.entries.size < entriesPerOwnerLimit)
      return true;
    return compareEntries(entry, oldestOf(owned)) > 0;
  }

  #put(entry: Entry): void {
    let owned = this.#owners.get(entry.owner);
    if (owned === undefined) {
      owned = { entries: new Map(), hash: 0 };
      this.#owners.set(entry.owner, owned);
    }
    const current = owned.entries.get(entry.key);
    if (current !== undefined) this.#uncount(owned, current);
    owned.entries.set(entry.key, entry); // in the place of the one before: a map that is deleted from and added to grows
    owned.hash = addMark(owned.hash, markOf(entry));
    this.#totalBytes += sizeOf(entry);
    this.#earliestMs = Math.min(this.#earliestMs, entry.wallMs);
    if (owned.entries.size > this.#options.entriesPerOwnerLimit) this.#drop(oldestOf(owned));
  }

  #drop(entry: Entry): void {
    const owned = this.#owners.get(entry.owner);
    if (owned?.entries.get(entry.key) !== entry) return;
    owned.entries.delete(entry.key);
    this.#uncount(owned, entry);
    if (owned.entries.size === 0) this.#owners.delete(entry.owner);
  }

  #uncount(owned: Owned, entry: Entry): void {
    owned.hash = removeMark(owned.hash, markOf(entry));
    this.#totalBytes -= sizeOf(entry);
  }
}

function oldestOf({ entries }: Owned): Entry {
  let oldest: Entry | undefined;
  for (const entry of entries.values()) {
    // Keys of one owner at one moment differ in signature, so that every replica gives up the same one.
    if (oldest === undefined || compareEntries(entry, oldest) < 0) oldest = entry;
  }
  return oldest as Entry;
}

function sizeOf({ key, value }: Entry): number {
  return key.length + (value?.length ?? 0);
}
