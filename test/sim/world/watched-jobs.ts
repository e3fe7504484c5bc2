import { type PackedRecord, unpackRecord } from '../../../src/jobs/packing.ts';
import { SPEC_BASE } from '../../../src/jobs/spec.ts';
import type { ApplyContext, MachineModule } from '../../../src/lease/machine/index.ts';
import { textKey } from '../../../src/storage/index.ts';

/** What the law of jobs speaks of, seen where it happens. */
export interface JobMoves {
  assigned(move: { readonly job: string; readonly token: number; readonly position: number }): void;
  completed(move: { readonly job: string; readonly token: number; readonly position: number }): void;
  ended(move: { readonly job: string; readonly state: string }): void;
}

/** The fields of a record that every honest jobs module has; nothing else of it is used. */
interface SeenRecord {
  readonly state: string;
  readonly running: { readonly fencingToken: number } | null;
}

const FINAL = new Set(['succeeded', 'dead', 'cancelled', 'skipped']);

/**
 * The jobs module with a witness beside it: what each command changed is read from the tables before and after it, so the witness
 * trusts neither the module's answers nor its guards.
 */
export function watchJobs(module: MachineModule, moves: JobMoves): MachineModule {
  const commands = Object.fromEntries(
    Object.entries(module.commands).map(([kind, command]): [string, MachineModule['commands'][string]] => [
      kind,
      {
        ...command,
        apply: (body, context) => {
          const names = namesIn(kind, body);
          const read = (job: string) => storedRecord(context, job);
          const before = new Map(names.map((job) => [job, read(job)]));
          const result = command.apply(body, context);
          for (const [job, was] of before) {
            const is = read(job);
            if (is === undefined) continue;
            const { position } = context;
            if (
              kind === 'assign' &&
              is.running !== null &&
              is.running.fencingToken !== was?.running?.fencingToken
            )
              moves.assigned({ job, token: is.running.fencingToken, position });
            const token = completionsIn(kind, body).get(job);
            if (token !== undefined && is.state === 'succeeded' && isMoved(was, is))
              moves.completed({ job, token, position });
            if (FINAL.has(is.state) && was?.state !== is.state) moves.ended({ job, state: is.state });
          }
          return result;
        },
      },
    ]),
  );
  return { ...module, commands };
}

/** A completion leaves its mark even where the job had one before. */
function isMoved(was: SeenRecord | undefined, is: SeenRecord): boolean {
  return was === undefined || JSON.stringify(was) !== JSON.stringify(is);
}

/** The record as the tables have it, past whatever the module keeps in memory. */
function storedRecord(context: ApplyContext, job: string): SeenRecord | undefined {
  const key = textKey(job);
  const packed = context.table<PackedRecord>('live').get(key) ?? context.table<PackedRecord>('done').get(key);
  return packed === undefined ? undefined : unpackRecord(job, SPEC_BASE as never, packed);
}

interface SeenReport {
  readonly kind: string;
  readonly jobId: string;
  readonly fencingToken: number;
}

/** The tokens that jobs are completed with. */
function completionsIn(kind: string, body: unknown): ReadonlyMap<string, number> {
  const reports =
    kind === 'settle'
      ? (body as { items: readonly SeenReport[] }).items
      : [{ ...(body as SeenReport), kind }];
  return new Map(
    reports
      .filter((report) => report.kind === 'complete')
      .map(({ jobId, fencingToken }) => [jobId, fencingToken]),
  );
}

function namesIn(kind: string, body: unknown): readonly string[] {
  if (kind === 'assign')
    return (body as { readonly assignments: readonly { readonly jobId: string }[] }).assignments.map(
      ({ jobId }) => jobId,
    );
  if (kind === 'settle') return (body as { items: readonly SeenReport[] }).items.map(({ jobId }) => jobId);
  if (kind === 'cancel') return [(body as { readonly id: string }).id];
  const { jobId } = (body ?? {}) as { readonly jobId?: string };
  return jobId === undefined ? [] : [jobId];
}
