import { type Clock, pause, type Random, type Timer } from '../base/index.ts';
import { CHECKPOINT_KEY, checkpointWrite } from './checkpoint.ts';
import { HiddenKey } from './hidden-key.ts';
import { Journal, type JournalDisk, RECORDS_UNDER_WAY } from './journal.ts';
import { Backlog } from './journal-backlog.ts';
import { bodyBytesOf } from './journal-record.ts';
import type { Checkpoint } from './journal-recovery.ts';
import { checkKeys } from './key-table.ts';
import { mergeRange } from './merge-range.ts';
import type { PendingWrites } from './pending-writes.ts';
import {
  type Key,
  type KeyRange,
  StorageFault,
  type Store,
  type StoreSnapshot,
  type StoreView,
  type Write,
} from './store.ts';

/** The store takes over what the journal holds at the latest so long after it was written. Unit: ms. */
const REST_MS = 2_000;
/** And when this part of a segment is used. */
const DUE_PART = 1 / 2;
/** How often room is looked for on a full disk. Unit: ms. */
const RETRY_MS = 1_000;

export interface JournaledStoreComponents {
  /** Holds nothing but sealed values. */
  readonly base: Store;
  readonly disk: JournalDisk;
  readonly clock: Clock;
  readonly random: Random;
}

interface Waiting {
  readonly batch: readonly Write[];
  readonly bodyBytes: number;
  /** It waits for the base, not for the journal. */
  readonly isBehind: boolean;
  readonly resolve: () => void;
  readonly reject: (fault: StorageFault) => void;
}

/**
 * A store with a journal before it: a batch is durable when it lies in the journal, which takes one short write. The base takes over what
 * has come together now and then, one write a key.
 *
 * - D7 What is read is the base and then all that it has not taken over yet, in the order of the calls.
 * - D8 The base takes over everything up to a record, and the number of that record, in one batch; only then are the records cleared.
 * - D9 What was accepted is never refused later: a batch for which there is no room, or which comes after a fault, is refused whole, before
 *   anything of it is written; and with it all that was asked for before anybody can have heard of that, since it may build on it.
 * - D10 Up to {@link RECORDS_UNDER_WAY} records are written at one time; each is acknowledged when it and all before it are durable.
 */
export class JournaledStore implements Store {
  readonly #base: Store;
  readonly #below: StoreView;
  readonly #disk: JournalDisk;
  readonly #clock: Clock;
  readonly #salt: number;
  readonly #journal: Journal;
  /** Not in the base yet, in the order of the calls: since the last checkpoint began, and what that one takes over. */
  #open = new Backlog();
  #taken: Backlog | undefined;
  #waiting: Waiting[] = [];
  /** Of those in `#open`, the ones that are told when the base has them. */
  #behind: Waiting[] = [];
  #pump: Promise<void> | undefined;
  /** What was accepted and is not durable yet, in order. They end well, or with a fault that is kept. */
  readonly #landings: Promise<void>[] = [];
  #landingBytes = 0;
  #recordsUnderWay = 0;
  /** Why nothing is taken in for a moment. */
  #refusal: StorageFault | undefined;
  #checkpoint: Promise<void> | undefined;
  #isCheckpointDue = false;
  /** Kept running when the base takes over earlier: that happens many times before it rings. */
  #rest: Timer | undefined;
  /** When the first was launched of what the base has not begun to take over. */
  #openSinceMs: number | undefined;
  readonly #closing = new AbortController();
  #fault: StorageFault | undefined;

  /** Both segments are clear, and the base has all they held. Use `openJournaledStore`. */
  constructor({ base, disk, clock }: Omit<JournaledStoreComponents, 'random'>, checkpoint: Checkpoint) {
    this.#base = base;
    this.#below = new HiddenKey(base, CHECKPOINT_KEY);
    this.#disk = disk;
    this.#clock = clock;
    this.#salt = checkpoint.salt;
    this.#journal = new Journal(disk, checkpoint);
  }

  get(key: Key): Uint8Array | undefined {
    this.#checkOpen();
    const found = lookup(this.#layers(), key);
    return found === 'unknown' ? this.#below.get(key) : found;
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    this.#checkOpen();
    return mergeRange(this.#layers(), this.#below, range);
  }

  write(batch: readonly Write[]): Promise<void> {
    return this.#ask(batch, false);
  }

  writeBehind(batch: readonly Write[]): Promise<void> {
    return this.#ask(batch, true);
  }

  snapshot(): StoreSnapshot {
    this.#checkOpen();
    const base = this.#base.snapshot();
    const below = new HiddenKey(base, CHECKPOINT_KEY);
    const layers = this.#layers().map((layer) => layer.clone());
    return {
      get(key) {
        const stored = below.get(key); // says so when it was released
        const found = lookup(layers, key);
        return found === 'unknown' ? stored : found;
      },
      range: (range) => mergeRange(layers, below, range),
      [Symbol.dispose]: () => base[Symbol.dispose](),
    };
  }

  endWaiting(): void {
    this.#closing.abort();
  }

  /** Waits for the writes under way; the base has everything then, unless its disk is full. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#fault?.kind === 'closed') return;
    this.endWaiting();
    while (this.#pump !== undefined) await this.#pump;
    await this.#allLanded();
    await this.#settle();
    this.#fault = new StorageFault('closed', 'the store is closed');
    this.#rest?.cancel();
    await this.#disk[Symbol.asyncDispose]();
    await this.#base[Symbol.asyncDispose]();
  }

  /** Newest first. */
  #layers(): readonly PendingWrites[] {
    return this.#taken === undefined ? this.#open.layers : [...this.#open.layers, ...this.#taken.layers];
  }

  #ask(batch: readonly Write[], isBehind: boolean): Promise<void> {
    const fault = this.#fault ?? this.#refusal;
    if (fault !== undefined) return Promise.reject(fault);
    checkKeys(batch);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ batch, bodyBytes: bodyBytesOf(batch), isBehind, resolve, reject });
      this.#run();
    });
  }

  #run(): void {
    this.#pump ??= this.#writeWaiting();
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0 || this.#mayCheckpoint()) {
      await this.#disk.nextTurn();
      if (this.#landings.length >= RECORDS_UNDER_WAY) await this.#landings[0];
      await this.#begin(this.#takeGroup());
      if (!this.#mayCheckpoint()) continue;
      await this.#allLanded();
      if (this.#mayCheckpoint()) void this.#beginCheckpoint();
    }
    this.#pump = undefined;
  }

  /** As many as go into one record; one that is too long for any goes alone. */
  #takeGroup(): Waiting[] {
    let bytes = 0;
    const end = this.#waiting.findIndex(({ bodyBytes }) => {
      bytes += bodyBytes;
      return bytes > this.#journal.bodyBytesLimit;
    });
    return this.#waiting.splice(0, end === -1 ? this.#waiting.length : Math.max(1, end));
  }

  /** D9: accepts all of a group and begins to write it, or refuses it. */
  async #begin(group: readonly Waiting[]): Promise<void> {
    if (group.length === 0) return;
    const bodyBytes = sumOf(group);
    if (!this.#disk.hasRoomFor(bodyBytes + this.#open.bytes + this.#landingBytes)) {
      this.#refuse(group, new StorageFault('full', 'hardly any space is left for the store'));
      return;
    }
    const isLong = bodyBytes > this.#journal.bodyBytesLimit;
    const journaled = isLong ? [] : group.filter(({ isBehind }) => !isBehind);
    const hasPlace = journaled.length === 0 || this.#journal.hasPlaceFor(sumOf(journaled));
    if (isLong || !hasPlace) await this.#allLanded();
    if (!hasPlace) await this.#settle();
    if (this.#fault === undefined) this.#launch(group, { journaled, isLong });
    else rejectAll(group, this.#fault);
    if (!isLong || group[0]?.isBehind === true) return;
    await this.#allLanded();
    await this.#settle(); // nothing later is durable before it
  }

  #launch(
    group: readonly Waiting[],
    { journaled, isLong }: { readonly journaled: readonly Waiting[]; readonly isLong: boolean },
  ): void {
    const written = journaled.length === 0 ? undefined : this.#append(journaled);
    const told = isLong ? group : group.filter(({ isBehind }) => isBehind);
    const bytes = sumOf(group);
    this.#landingBytes += bytes;
    this.#landings.push(
      this.#land(group, { before: this.#landings.at(-1), written }).then((isDurable) => {
        this.#landings.shift();
        this.#landingBytes -= bytes;
        if (!isDurable) return;
        for (const { resolve } of journaled) resolve();
        this.#behind.push(...told);
      }),
    );
    this.#isCheckpointDue ||=
      told.length > 0 || this.#journal.usedBytes >= this.#disk.segmentBytes * DUE_PART;
    this.#openSinceMs ??= this.#clock.monotonicMs();
    this.#rest ??= this.#clock.setTimer(REST_MS, this.#onRest);
  }

  async #append(journaled: readonly Waiting[]): Promise<void> {
    const isOverlapping = this.#recordsUnderWay > 0;
    this.#recordsUnderWay += 1;
    try {
      await this.#journal.append(
        journaled.map(({ batch }) => batch),
        { isOverlapping },
      );
    } finally {
      this.#recordsUnderWay -= 1;
    }
  }

  /** D10 @returns whether the group is durable, which is visible from then on; otherwise it was told why not. */
  async #land(
    group: readonly Waiting[],
    {
      before,
      written,
    }: { readonly before: Promise<void> | undefined; readonly written: Promise<void> | undefined },
  ): Promise<boolean> {
    const [fault] = await Promise.all([faultIn(written), before]);
    this.#fault ??= fault;
    if (this.#fault !== undefined) {
      rejectAll([...group, ...this.#behind.splice(0)], this.#fault);
      return false;
    }
    for (const { batch, bodyBytes, isBehind } of group) {
      if (isBehind) this.#open.addWhole(batch, bodyBytes);
      else this.#open.add(batch, bodyBytes);
    }
    return true;
  }

  /** D9 */
  #refuse(group: readonly Waiting[], fault: StorageFault): void {
    rejectAll([...group, ...this.#waiting.splice(0)], fault);
    this.#refusal = fault;
    this.#clock.setTimer(0, () => {
      this.#refusal = undefined;
    });
  }

  async #allLanded(): Promise<void> {
    while (this.#landings.length > 0) await this.#landings.at(-1);
  }

  /** Waits until the base has all there is. */
  async #settle(): Promise<void> {
    await this.#checkpoint;
    if (this.#fault === undefined) await this.#beginCheckpoint();
  }

  readonly #onRest = (): void => {
    this.#rest = undefined;
    if (this.#openSinceMs === undefined) return;
    const leftMs = this.#openSinceMs + REST_MS - this.#clock.monotonicMs();
    if (leftMs > 0) {
      this.#rest = this.#clock.setTimer(leftMs, this.#onRest);
      return;
    }
    this.#isCheckpointDue = true;
    if (this.#mayCheckpoint()) this.#run();
  };

  #mayCheckpoint(): boolean {
    return this.#isCheckpointDue && this.#checkpoint === undefined && this.#fault === undefined;
  }

  /** While no record is under way; ends well, or with a fault that is kept. */
  #beginCheckpoint(): Promise<void> {
    this.#checkpoint = this.#takeOver().then(() => {
      this.#checkpoint = undefined;
      if (this.#mayCheckpoint()) this.#run();
    });
    return this.#checkpoint;
  }

  /** D8 */
  async #takeOver(): Promise<void> {
    this.#isCheckpointDue = false;
    this.#openSinceMs = undefined;
    const taken = this.#open;
    if (taken.isEmpty) return;
    const behind = this.#behind.splice(0);
    const clear = this.#journal.turn();
    const checkpoint = { sequence: this.#journal.sequence, salt: this.#salt };
    this.#taken = taken;
    this.#open = new Backlog();
    try {
      await this.#writeBase([...taken.batch(), checkpointWrite(checkpoint)]);
      this.#taken = undefined;
      for (const { resolve } of behind) resolve();
      await clear();
    } catch (error) {
      this.#fault ??= faultOf(error);
      for (const { reject } of [...behind, ...this.#behind.splice(0)]) reject(this.#fault);
    }
  }

  /** D9 A disk that has become full meanwhile is waited for: what it has to take is in the journal, or was accepted for it. */
  async #writeBase(writes: readonly Write[]): Promise<void> {
    for (;;) {
      try {
        await this.#base.write(writes);
        return;
      } catch (error) {
        if (!(await this.#mayTryAgain(faultOf(error)))) throw error;
      }
    }
  }

  async #mayTryAgain({ kind }: StorageFault): Promise<boolean> {
    return kind === 'full' && (await pause(this.#clock, RETRY_MS, this.#closing.signal));
  }

  #checkOpen(): void {
    if (this.#fault?.kind === 'closed') throw this.#fault;
  }
}

/** @returns a copy; undefined for a deleted key, `unknown` for one that no layer touches. */
function lookup(layers: readonly PendingWrites[], key: Key): Uint8Array | undefined | 'unknown' {
  for (const layer of layers) {
    const found = layer.lookup(key);
    if (found !== 'unknown') return found && new Uint8Array(found);
  }
  return 'unknown';
}

function rejectAll(group: readonly Waiting[], fault: StorageFault): void {
  for (const { reject } of group) reject(fault);
}

/** @returns why it failed; undefined when it went well. */
async function faultIn(writing: Promise<void> | undefined): Promise<StorageFault | undefined> {
  try {
    await writing;
    return undefined;
  } catch (error) {
    return faultOf(error);
  }
}

function sumOf(group: readonly Waiting[]): number {
  let bytes = 0;
  for (const { bodyBytes } of group) bytes += bodyBytes;
  return bytes;
}

function faultOf(error: unknown): StorageFault {
  if (error instanceof StorageFault) return error;
  return new StorageFault('sync-failed', `the store failed: ${(error as Error).message}`, { cause: error });
}
