import type { JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext, MachineModule } from '../../../src/lease/machine/index.ts';
import { toldWrongly } from './hook-laws.ts';
import { brokenBy, indexDiffers } from './job-laws.ts';
import { RateLaw } from './rate-law.ts';
import { doneTooSoon } from './time-laws.ts';
import { type TouchedJob, TouchedJobs } from './touched-jobs.ts';

/** What the law of jobs speaks of, seen where it happens. */
export interface JobMoves {
  /** The job is new, or final no more. */
  opened(move: { readonly job: string; readonly position: number; readonly isOnce: boolean }): void;
  assigned(move: { readonly job: string; readonly token: number; readonly position: number }): void;
  completed(move: { readonly job: string; readonly token: number; readonly position: number }): void;
  ended(move: { readonly job: string; readonly state: string; readonly position: number }): void;
  /** A law was broken within one command. */
  breach(what: string): void;
}

const FINAL: ReadonlySet<string> = new Set(['succeeded', 'dead', 'cancelled', 'skipped']);

/**
 * The jobs module with a witness beside it: what each command changed is read from the tables before and after it, so the witness
 * trusts neither the module's answers nor its guards.
 */
export function watchJobs(module: MachineModule, moves: JobMoves): MachineModule {
  const rates = new RateLaw();
  const commands = Object.fromEntries(
    Object.entries(module.commands).map(([kind, command]): [string, MachineModule['commands'][string]] => [
      kind,
      {
        ...command,
        apply: (body, context) => {
          const touched = new TouchedJobs(context);
          const result = command.apply(body, touched.context);
          if (kind === 'limit') limitSet(rates, body, context);
          const all = touched.all();
          const broken = [
            ...indexDiffers(module, context),
            ...all.flatMap((job) => brokenBy(kind, job, context)),
            ...all.flatMap((job) => doneTooSoon(kind, job, context)),
            ...toldWrongly(all, context),
            ...rates.started(all.flatMap(startedIn), context),
          ];
          for (const what of broken) moves.breach(what);
          for (const job of all) tell(job, completionsIn(kind, body), context, moves);
          return result;
        },
      },
    ]),
  );
  return { ...module, commands };
}

function limitSet(rates: RateLaw, body: unknown, context: ApplyContext): void {
  const { scope, name } = body as { readonly scope: string; readonly name: string };
  rates.limitSet(scope, name, context);
}

function startedIn({ was, is }: TouchedJob): JobRecord[] {
  const isStart = is?.running != null && is.running.fencingToken !== was?.running?.fencingToken;
  return isStart ? [is] : [];
}

function tell(
  touched: TouchedJob,
  completions: ReadonlyMap<string, number>,
  { position }: ApplyContext,
  moves: JobMoves,
): void {
  const { job, was, is } = touched;
  if (is === undefined) return;
  const isFinal = FINAL.has(is.state);
  const wasFinal = was !== undefined && FINAL.has(was.state);
  if (was === undefined || (wasFinal && !isFinal)) moves.opened({ job, position, isOnce: isOnce(is) });
  for (const { running } of startedIn(touched))
    if (running !== null) moves.assigned({ job, token: running.fencingToken, position });
  const token = completions.get(job);
  // A completion leaves its mark even where the job had one before.
  if (token !== undefined && is.state === 'succeeded' && JSON.stringify(was) !== JSON.stringify(is))
    moves.completed({ job, token, position });
  if (isFinal && was?.state !== is.state) moves.ended({ job, state: is.state, position });
}

function isOnce({ spec: { retry } }: JobRecord): boolean {
  return retry.maxAttempts === 1 && retry.maxLosses === 0;
}

interface SeenReport {
  readonly kind: string;
  readonly jobId: string;
  readonly fencingToken: number;
}

/** The tokens that jobs are completed with. */
function completionsIn(kind: string, body: unknown): ReadonlyMap<string, number> {
  if (kind !== 'settle') return new Map();
  return new Map(
    (body as { items: readonly SeenReport[] }).items
      .filter((report) => report.kind === 'complete')
      .map(({ jobId, fencingToken }) => [jobId, fencingToken]),
  );
}
