import { type Random, randomFloat, randomInt } from '../../../src/base/index.ts';
import {
  checkKeys,
  copied,
  type Key,
  type KeyRange,
  KeyTable,
  StorageFault,
  type Store,
  type StoreSnapshot,
  tableSnapshot,
  type Write,
} from '../../../src/storage/index.ts';
import { ProcessGone, type SimProcess } from './sim-process.ts';
import { SimSegments } from './sim-segments.ts';

/** Room for some hundred records: stories fill many segments. Unit: bytes. */
const SEGMENT_BYTES = 64 * 2 ** 10;

export interface SimDiskOptions {
  /** Unit: ms. @default 0.2 */
  readonly shortestSyncMs?: number;
  /** Unit: ms. @default 5 */
  readonly longestSyncMs?: number;
}

interface Batch {
  readonly writes: readonly Write[];
  readonly resolve: () => void;
  readonly reject: (fault: StorageFault) => void;
}

/** One machine's disk: outlives the processes that use it. Faults are its methods, so that a plan of steps can call them. */
export class SimDisk {
  readonly #random: Random;
  readonly #shortestSyncMs: number;
  readonly #longestSyncMs: number;
  #table = new KeyTable();
  #journal = new SimSegments(SEGMENT_BYTES);
  #isShared = false;
  #isFull = false;
  #willFailSync = false;
  #wasHarmed = false;
  #isDamaged = false;
  #openFault: StorageFault | undefined;

  constructor(random: Random, { shortestSyncMs = 0.2, longestSyncMs = 5 }: SimDiskOptions = {}) {
    this.#random = random;
    this.#shortestSyncMs = shortestSyncMs;
    this.#longestSyncMs = longestSyncMs;
  }

  /** What survives a power cut at this moment. */
  get table(): KeyTable {
    return this.#table;
  }

  get journal(): SimSegments {
    return this.#journal;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** @throws StorageFault when the disk was told not to open. */
  open(process: SimProcess): SimStore {
    if (this.#openFault !== undefined) throw this.#openFault;
    return new SimStore(this, process);
  }

  fill(): void {
    this.#isFull = true;
  }

  free(): void {
    this.#isFull = false;
  }

  /** Whether it ever failed in a way for which an agent must end itself. */
  get wasHarmed(): boolean {
    return this.#wasHarmed;
  }

  get isDamaged(): boolean {
    return this.#isDamaged;
  }

  failNextSync(): void {
    this.#willFailSync = true;
    this.#wasHarmed = true;
  }

  /** It has not failed yet: it will not. */
  spareNextSync(): void {
    this.#willFailSync = false;
  }

  refuseToOpen(fault: StorageFault | undefined): void {
    this.#openFault = fault;
  }

  /** Damages one stored value by one bit. @returns its key; undefined when there is nothing to damage. */
  flipValue(range: KeyRange): Key | undefined {
    const chosen = this.#drawValue(range);
    if (chosen === undefined) return undefined;
    const [key, value] = chosen;
    const damaged = new Uint8Array(value);
    const at = randomInt(this.#random, { from: 0, to: damaged.length });
    damaged[at] = (damaged[at] as number) ^ (1 << randomInt(this.#random, { from: 0, to: 8 }));
    return this.#harm(key, damaged);
  }

  /** Damages one bit of what the journal holds. @returns where; undefined when it holds nothing. */
  flipJournal(): string | undefined {
    const used = [0, 1].filter((segment) => this.#journal.usedBytes(segment) > 0);
    if (used.length === 0) return undefined;
    const segment = used[randomInt(this.#random, { from: 0, to: used.length })] as number;
    const at = randomInt(this.#random, { from: 0, to: this.#journal.usedBytes(segment) });
    const byte =
      (this.#journal.read(segment)[at] as number) ^ (1 << randomInt(this.#random, { from: 0, to: 8 }));
    this.#journal.write(segment, Uint8Array.of(byte), at, () => true);
    this.#wasHarmed = true;
    this.#isDamaged = true;
    return `byte ${at} of segment ${segment}`;
  }

  /** Puts one stored value in the place of another. @returns the key of the wrong one; undefined when there are no two different ones. */
  misplaceValue(range: KeyRange): Key | undefined {
    const [chosen, other] = [this.#drawValue(range), this.#drawValue(range)];
    if (chosen === undefined || other === undefined || chosen[0] === other[0]) return undefined;
    if (Buffer.compare(chosen[1], other[1]) === 0) return undefined;
    return this.#harm(chosen[0], other[1]);
  }

  #drawValue(range: KeyRange): readonly [Key, Uint8Array] | undefined {
    const stored = [...this.#table.range(range)].filter(([, value]) => value.length > 0);
    return stored.length === 0 ? undefined : stored[randomInt(this.#random, { from: 0, to: stored.length })];
  }

  #harm(key: Key, value: Uint8Array): Key {
    this.#wasHarmed = true;
    this.#isDamaged = true;
    this.persist([{ type: 'put', key, value }]);
    return key;
  }

  persist(writes: readonly Write[]): void {
    if (this.#isShared) this.#table = this.#table.clone();
    this.#isShared = false;
    this.#table.apply(writes);
  }

  /** A crash or a failed sync: batches reach the disk in order, so any number of the first ones may be there. */
  persistSomeOf(batches: readonly (readonly Write[])[]): void {
    const kept = randomInt(this.#random, { from: 0, to: batches.length + 1 });
    for (const writes of batches.slice(0, kept)) this.persist(writes);
  }

  /** A write to the journal has ended: well, or with its machine or its disk, so that any of its sectors may be there. */
  persistSectors(
    { segment, bytes, at }: { readonly segment: number; readonly bytes: Uint8Array; readonly at: number },
    which: 'all' | 'some',
  ): void {
    const isKept = () => which === 'all' || randomInt(this.#random, { from: 0, to: 2 }) === 1;
    this.#journal.write(segment, bytes, at, isKept);
  }

  /** Somebody takes the store away, for good. */
  erase(): void {
    this.persist([{ type: 'deleteRange', from: '', to: '\uffff' }]);
    this.#journal.remove();
  }

  /** The disk holds this instead of what it held. */
  protected replace({ table, journal }: { readonly table: KeyTable; readonly journal: SimSegments }): void {
    this.#table = table;
    this.#journal = journal;
    this.#isShared = false;
  }

  share(): KeyTable {
    this.#isShared = true;
    return this.#table;
  }

  /** Mostly short, now and then long, as disks are. */
  drawSyncMs(): number {
    const skewed = randomFloat(this.#random) ** 4;
    return this.#shortestSyncMs + skewed * (this.#longestSyncMs - this.#shortestSyncMs);
  }

  takeSyncFault(): boolean {
    const willFail = this.#willFailSync;
    this.#willFailSync = false;
    return willFail;
  }
}

/**
 * A store of one life of a simulated agent. Batches that wait while a sync is under way share the next one; reads see a batch only when
 * it is acknowledged, which is the latest moment the port allows.
 */
export class SimStore implements Store {
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  #syncing: Batch[] = [];
  #waiting: Batch[] = [];
  #fault: StorageFault | undefined;
  #onIdle: (() => void)[] = [];

  constructor(disk: SimDisk, process: SimProcess) {
    this.#disk = disk;
    this.#process = process;
    process.onCrash(() => this.#crash());
  }

  get(key: Key): Uint8Array | undefined {
    this.#checkOpen();
    return this.#disk.table.get(key);
  }

  range(range: KeyRange): Iterable<readonly [Key, Uint8Array]> {
    this.#checkOpen();
    return this.#disk.table.range(range);
  }

  snapshot(): StoreSnapshot {
    this.#checkOpen();
    return tableSnapshot(this.#disk.share());
  }

  /** After a crash the promise stays as it is: nobody is left to be told. */
  write(writes: readonly Write[]): Promise<void> {
    if (!this.#process.isAlive) return new Promise(() => undefined);
    if (this.#fault !== undefined) return Promise.reject(this.#fault);
    checkKeys(writes);
    this.#process.reach('before write');
    if (!this.#process.isAlive) return new Promise(() => undefined);
    if (this.#disk.isFull)
      return Promise.reject(new StorageFault('full', `the disk of ${this.#process.name} is full`));
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes: writes.map(copied), resolve, reject });
      if (this.#syncing.length === 0) this.#startSync();
      this.#process.reach('after write');
    });
  }

  writeBehind(writes: readonly Write[]): Promise<void> {
    return this.write(writes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#fault?.kind === 'closed') return;
    if (this.#syncing.length > 0) await new Promise<void>((resolve) => this.#onIdle.push(resolve));
    this.#fault = new StorageFault('closed', `the store of ${this.#process.name} is closed`);
  }

  #startSync(): void {
    this.#syncing = this.#waiting.splice(0);
    this.#process.after(this.#disk.drawSyncMs(), () => this.#endSync(), 'sync');
  }

  #endSync(): void {
    this.#process.reach('before sync');
    if (!this.#process.isAlive) return;
    const synced = this.#syncing.splice(0);
    if (this.#disk.takeSyncFault()) this.#failSync(synced);
    else {
      for (const { writes } of synced) this.#disk.persist(writes);
      this.#process.reach('after sync');
      if (!this.#process.isAlive) return;
      for (const { resolve } of synced) resolve();
    }
    if (this.#waiting.length > 0) this.#startSync();
    else for (const resolve of this.#onIdle.splice(0)) resolve();
  }

  #failSync(synced: readonly Batch[]): void {
    this.#fault = new StorageFault('sync-failed', `the disk of ${this.#process.name} did not sync`);
    this.#disk.persistSomeOf(synced.map(({ writes }) => writes));
    for (const { reject } of [...synced, ...this.#waiting.splice(0)]) reject(this.#fault);
  }

  #crash(): void {
    this.#disk.persistSomeOf([...this.#syncing, ...this.#waiting].map(({ writes }) => writes));
    this.#syncing = [];
    this.#waiting = [];
    this.#fault = new StorageFault('closed', `the process of ${this.#process.name} is gone`);
  }

  #checkOpen(): void {
    if (!this.#process.isAlive) throw new ProcessGone(this.#process.name);
    if (this.#fault?.kind === 'closed') throw this.#fault;
  }
}
