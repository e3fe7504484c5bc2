import type { JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext, MachineModule } from '../../../src/lease/machine/index.ts';
import { beginsTooEarly, countsWrongly, exceedsLimit, indexDiffers, storedRecord } from './job-laws.ts';

/** What the law of jobs speaks of, seen where it happens. */
export interface JobMoves {
  assigned(move: { readonly job: string; readonly token: number; readonly position: number }): void;
  completed(move: { readonly job: string; readonly token: number; readonly position: number }): void;
  ended(move: { readonly job: string; readonly state: string }): void;
  /** A law was broken within one command. */
  breach(what: string): void;
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
          const read = (job: string) => storedRecord(context, job);
          const before = new Map(namesIn(kind, body).map((job) => [job, read(job)]));
          const told = new Set<string>();
          const result = command.apply(body, withEar(context, told));
          for (const what of indexDiffers(module, context)) moves.breach(what);
          for (const job of told) {
            const state = read(job)?.state;
            if (!before.has(job) && state !== undefined && FINAL.has(state)) moves.ended({ job, state });
          }
          for (const [job, was] of before) {
            const is = read(job);
            if (is === undefined) continue;
            const { position } = context;
            const wrong = kind === 'settle' ? countsWrongly(was, is) : [];
            if (kind === 'assign' && is.state === 'running') wrong.push(...beginsTooEarly(is, context));
            if (kind === 'assign' && is.running !== null && was?.running === null)
              wrong.push(...exceedsLimit(is, context));
            for (const what of wrong) moves.breach(what);
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
function isMoved(was: JobRecord | undefined, is: JobRecord): boolean {
  return was === undefined || JSON.stringify(was) !== JSON.stringify(is);
}

/** @returns the context, with the names of all jobs that the command tells of in `told`: it may move more than those it names. */
function withEar(context: ApplyContext, told: Set<string>): ApplyContext {
  return {
    position: context.position,
    groupMs: context.groupMs,
    wallMs: context.wallMs,
    table: (name) => context.table(name),
    derived: () => context.derived(),
    read: (module, table) => context.read(module, table),
    emit: (fact) => {
      if (typeof fact['id'] === 'string') told.add(fact['id']);
      context.emit(fact);
    },
  };
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
