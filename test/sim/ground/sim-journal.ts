import { type JournalDisk, type Segment, StorageFault } from '../../../src/storage/index.ts';
import type { SimProcess } from './sim-process.ts';
import type { SimDisk } from './sim-store.ts';

interface WriteUnderWay {
  readonly segment: number;
  readonly bytes: Uint8Array;
  readonly at: number;
}

/** The journal of one life of a simulated agent, on the disk of its machine. A crash leaves any of the sectors that were being written. */
export class SimJournalDisk implements JournalDisk {
  readonly segmentBytes: number;
  readonly segments: readonly [Segment, Segment] = [this.#segment(0), this.#segment(1)];
  readonly isNew: boolean;
  readonly #disk: SimDisk;
  readonly #process: SimProcess;
  readonly #underWay = new Set<WriteUnderWay>();

  constructor(disk: SimDisk, process: SimProcess) {
    this.#disk = disk;
    this.#process = process;
    this.segmentBytes = disk.journal.segmentBytes;
    this.isNew = disk.journal.make();
    process.onCrash(() => this.#crash());
  }

  hasRoomFor(): boolean {
    return !this.#disk.isFull;
  }

  async nextTurn(): Promise<void> {
    await Promise.resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.nextTurn();
  }

  #segment(segment: 0 | 1): Segment {
    return {
      read: async () => this.#disk.journal.read(segment),
      write: (bytes, at) => this.#write({ segment, bytes: new Uint8Array(bytes), at }),
      clear: (byteLength) => this.#write({ segment, bytes: new Uint8Array(byteLength), at: 0 }),
    };
  }

  #write(write: WriteUnderWay): Promise<void> {
    if (!this.#process.isAlive) return new Promise(() => undefined);
    this.#process.reach('before write');
    if (!this.#process.isAlive) return new Promise(() => undefined);
    return new Promise((resolve, reject) => {
      this.#underWay.add(write);
      this.#process.after(this.#disk.drawSyncMs(), () => this.#endSync(write, resolve, reject), 'sync');
      this.#process.reach('after write');
    });
  }

  #endSync(write: WriteUnderWay, resolve: () => void, reject: (fault: StorageFault) => void): void {
    this.#process.reach('before sync');
    if (!this.#process.isAlive) return;
    this.#underWay.delete(write);
    if (this.#disk.takeSyncFault()) {
      this.#disk.persistSectors(write, 'some');
      reject(new StorageFault('sync-failed', `the disk of ${this.#process.name} did not sync`));
      return;
    }
    this.#disk.persistSectors(write, 'all');
    this.#process.reach('after sync');
    if (this.#process.isAlive) resolve();
  }

  #crash(): void {
    for (const write of this.#underWay) this.#disk.persistSectors(write, 'some');
    this.#underWay.clear();
  }
}
