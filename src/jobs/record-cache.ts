import { SlotMap } from '../base/index.ts';
import type { JobRecord } from './record.ts';

/** A generation is full with as many records or bytes; at most two are kept. */
const GENERATION_RECORDS = 50_000;
const GENERATION_BYTES = 32 * 2 ** 20;

/**
 * Records that were written of late, decoded. What is not here is read from its tables, so anything may be forgotten at any time: the
 * oldest generation is, as a whole, which costs nothing a record.
 */
export class RecordCache {
  #young = new SlotMap<string, JobRecord>();
  #old = new SlotMap<string, JobRecord>();
  #youngBytes = 0;

  find(id: string): JobRecord | undefined {
    return this.#young.get(id) ?? this.#old.get(id);
  }

  /** @param bytes about how much memory it takes. */
  keep(record: JobRecord, bytes: number): void {
    if (this.#young.size >= GENERATION_RECORDS || this.#youngBytes >= GENERATION_BYTES) {
      this.#old = this.#young;
      this.#young = new SlotMap();
      this.#youngBytes = 0;
    }
    this.#young.set(record.id, record);
    this.#youngBytes += bytes;
  }

  drop(id: string): void {
    this.#young.delete(id);
    this.#old.delete(id);
  }
}
