import { type PackedRecord, type PackedSpec, unpackRecord, unpackSpec } from '../../../src/jobs/packing.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext, Table } from '../../../src/lease/machine/index.ts';
import { keyText, textKey } from '../../../src/storage/index.ts';

/** A job that a command wrote. */
export interface TouchedJob {
  readonly job: string;
  /** Undefined for one that was not there. */
  readonly was: JobRecord | undefined;
  /** Undefined for one that was removed. */
  readonly is: JobRecord | undefined;
}

/** Where the parts of a record lie. */
const RECORDS: ReadonlySet<string> = new Set(['specs', 'live', 'done']);

/** The context of a command that remembers which records were written, and what they were before; whoever writes cannot hide it. */
export class TouchedJobs {
  readonly context: ApplyContext;
  readonly #plain: ApplyContext;
  readonly #before = new Map<string, JobRecord | undefined>();

  constructor(plain: ApplyContext) {
    this.#plain = plain;
    this.context = {
      position: plain.position,
      groupMs: plain.groupMs,
      wallMs: plain.wallMs,
      table: <V>(name: string) => (RECORDS.has(name) ? this.#watched<V>(name) : plain.table<V>(name)),
      derived: () => plain.derived(),
      read: (module, table) => plain.read(module, table),
      emit: (fact) => plain.emit(fact),
    };
  }

  all(): TouchedJob[] {
    return [...this.#before].map(([key, was]) => ({
      job: keyText(key),
      was,
      is: storedAt(this.#plain, key),
    }));
  }

  #watched<V>(name: string): Table<V> {
    const table = this.#plain.table<V>(name);
    return {
      get: (key) => table.get(key),
      range: (range) => table.range(range),
      put: (key, value) => {
        this.#remember(key);
        return table.put(key, value);
      },
      delete: (key) => {
        this.#remember(key);
        table.delete(key);
      },
    };
  }

  #remember(key: string): void {
    if (!this.#before.has(key)) this.#before.set(key, storedAt(this.#plain, key));
  }
}

/** The record as the tables have it, past whatever the module keeps in memory. */
export function storedRecord(context: ApplyContext, job: string): JobRecord | undefined {
  return storedAt(context, textKey(job));
}

function storedAt(context: ApplyContext, key: string): JobRecord | undefined {
  const spec = context.table<PackedSpec>('specs').get(key);
  const packed = context.table<PackedRecord>('live').get(key) ?? context.table<PackedRecord>('done').get(key);
  if (spec === undefined || packed === undefined) return undefined;
  return unpackRecord(keyText(key), unpackSpec(spec), packed);
}
