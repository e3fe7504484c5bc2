import type { LiveIndex } from '../../../src/jobs/live-index.ts';
import { type PackedRecord, type PackedSpec, unpackRecord, unpackSpec } from '../../../src/jobs/packing.ts';
import { isFinal, type JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext } from '../../../src/lease/machine/index.ts';
import { keyText, textKey } from '../../../src/storage/index.ts';

/** A job that a command wrote. */
export interface TouchedJob {
  readonly job: string;
  /** Undefined for one that was not there. */
  readonly was: JobRecord | undefined;
  /** Undefined for one that was removed. */
  readonly is: JobRecord | undefined;
}

/**
 * The context of a command that remembers which records were changed, and what they were before: rows are written behind, and every
 * replica names a row before it changes it, so that replicas can be compared.
 */
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
      version: plain.version,
      table: (name) => plain.table(name),
      derived: () => plain.derived(),
      read: (module, table) => plain.read(module, table),
      catchUp: () => plain.catchUp(),
      compare: (row) => {
        this.#remember((row as readonly [job: string])[0]);
        plain.compare?.(row);
      },
      emit: (fact) => plain.emit(fact),
    };
  }

  all(): TouchedJob[] {
    return [...this.#before].map(([job, was]) => ({ job, was, is: storedRecord(this.#plain, job) }));
  }

  #remember(job: string): void {
    if (!this.#before.has(job)) this.#before.set(job, storedRecord(this.#plain, job));
  }
}

/** The record as the tables have it, or will have it once what is written behind has reached them. */
export function storedRecord(context: ApplyContext, job: string): JobRecord | undefined {
  const late = context.derived<LiveIndex>().late.find(job);
  return late === undefined ? storedAt(context, textKey(job)) : late.now;
}

/** Every unfinished record, as {@link storedRecord}. */
export function liveRecords(context: ApplyContext): JobRecord[] {
  const written = Array.from(context.table<PackedRecord>('live').range({}), ([key]) => keyText(key));
  const jobs = new Set([...written, ...context.derived<LiveIndex>().late.ids()]);
  return [...jobs].flatMap((job) => storedRecord(context, job) ?? []).filter(({ state }) => !isFinal(state));
}

/** Without what is kept in memory. */
function storedAt(context: ApplyContext, key: string): JobRecord | undefined {
  const row = context.table<PackedSpec | readonly [PackedSpec, PackedRecord]>('jobs').get(key);
  if (row === undefined) return undefined;
  if (Array.isArray(row[0])) return unpackRecord(keyText(key), unpackSpec(row[0]), row[1] as PackedRecord);
  const packed = context.table<PackedRecord>('live').get(key);
  return packed && unpackRecord(keyText(key), unpackSpec(row as PackedSpec), packed);
}
