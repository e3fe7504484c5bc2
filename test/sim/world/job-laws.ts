import { type PackedRecord, type PackedSpec, unpackRecord, unpackSpec } from '../../../src/jobs/packing.ts';
import type { JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext, Derived, MachineModule } from '../../../src/lease/machine/index.ts';
import { textKey } from '../../../src/storage/index.ts';

/** Commands between two comparisons of the indexes with a rebuild, which reads every unfinished job. */
const COMPARE_EVERY = 16;

/** The record as the tables have it, past whatever the module keeps in memory. */
export function storedRecord(context: ApplyContext, job: string): JobRecord | undefined {
  const key = textKey(job);
  const spec = context.table<PackedSpec>('specs').get(key);
  const packed = context.table<PackedRecord>('live').get(key) ?? context.table<PackedRecord>('done').get(key);
  if (spec === undefined || packed === undefined) return undefined;
  return unpackRecord(job, unpackSpec(spec), packed);
}

/** Dependents after parents: a job that wants success begins only when those have succeeded, which is for ever. */
export function beginsTooEarly({ id, spec }: JobRecord, context: ApplyContext): string[] {
  if (spec.onDependencyFailure === 'continue') return [];
  return spec.dependsOn.flatMap(({ id: parent, on }) => {
    const state = storedRecord(context, parent)?.state;
    const isMet = on !== 'success' || state === undefined || state === 'succeeded';
    return isMet ? [] : [`${id} begins, but its parent ${parent} is ${state}`];
  });
}

/** Limits never exceeded: counted from the records, after a start of this job, and not from what the module counts. */
export function exceedsLimit({ id, spec }: JobRecord, context: ApplyContext): string[] {
  const limits = context
    .table<{ concurrency?: number; perKey?: number }>('limits')
    .get(`queue/${textKey(spec.queue)}`);
  if (limits === undefined) return [];
  const held = [...context.table<PackedRecord>('live').range({})]
    .map(([key]) => storedRecord(context, key))
    .filter((record) => record?.running != null && record.spec.queue === spec.queue);
  const ofKey = held.filter((record) => record?.spec.concurrencyKey === spec.concurrencyKey);
  const { concurrency = Number.POSITIVE_INFINITY, perKey = Number.POSITIVE_INFINITY } = limits;
  const told: string[] = [];
  if (held.length > concurrency)
    told.push(`${id} is one of ${held.length} in ${spec.queue}, not ${concurrency}`);
  if (spec.concurrencyKey !== null && ofKey.length > perKey)
    told.push(`${id} is one of ${ofKey.length} of ${spec.concurrencyKey}, not ${perKey}`);
  return told;
}

/** An attempt that failed counts once, and what ends counts no more. */
export function countsWrongly(was: JobRecord | undefined, is: JobRecord): string[] {
  const counted = is.failureCount - (was?.failureCount ?? 0);
  const failed = is.history.length - (was?.history.length ?? 0);
  return counted > Math.max(0, failed) ? [`${is.id} counts ${counted} failures of ${failed} attempts`] : [];
}

interface Described extends Derived {
  describe(): unknown;
}

/** What is kept in memory is what a replica that starts now would make of the tables. */
export function indexDiffers({ derive }: MachineModule, context: ApplyContext): string[] {
  if (derive === undefined || context.position % COMPARE_EVERY !== 0) return [];
  const kept = JSON.stringify(context.derived<Described>().describe());
  const anew = JSON.stringify((derive(context) as Described).describe());
  return kept === anew ? [] : [`the indexes in memory differ from a rebuild: ${kept} instead of ${anew}`];
}
