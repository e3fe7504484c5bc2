import { AspenError, toWireError } from '../base/index.ts';
import type { SubmitItem, SubmitResult } from './submission.ts';

/** Jobs of one slice of a bulk. */
export const SLICE_JOBS = 100;

export interface SubmitSlices {
  readonly count: number;
  /** Makes the jobs of a slice ready. Called once for each, in order; may give fewer than {@link SLICE_JOBS}. */
  readonly prepare: (slice: number) => readonly SubmitItem[];
  /** Submits the jobs of a slice, before which `at` others were given. */
  readonly propose: (jobs: readonly SubmitItem[], at: number) => Promise<readonly SubmitResult[]>;
  /** Resolves when the next slice may be made ready. */
  readonly nextTurn: () => Promise<void>;
}

/**
 * Submits a bulk slice by slice, none of which waits for what became of the one before: between them others come to their turn, above all jobs
 * that are under way. A bulk as a whole would hold them up, and its own jobs would pile up while the workers have nothing to do.
 *
 * - J9 What a repetition finds answered for another number of jobs than a slice has was divided in another way at first: no slice is submitted
 *   then but the first, which is not taken twice.
 *
 * @param isRepeatable a repetition is answered with what became of the first: whether this is one shows with the first slice, for which the
 *   others wait. @returns an outcome for each job, in order; the failure of a slice is the outcome of its jobs. Undefined where the bulk was divided in
 *   another way. @throws when no slice was taken: the first error after which nothing is known, or else the first.
 */
export async function submitInSlices(
  { count, prepare, propose, nextTurn }: SubmitSlices,
  isRepeatable: boolean,
): Promise<readonly SubmitResult[] | undefined> {
  const outcomes: Promise<SliceOutcome>[] = [];
  let at = 0;
  for (let slice = 0; slice < count; slice += 1) {
    await nextTurn();
    const jobs = prepare(slice);
    if (jobs.length === 0) continue;
    const results = propose(jobs, at);
    if (at === 0 && isRepeatable && (await results).length !== jobs.length) return undefined;
    outcomes.push(outcomeOf(results, jobs.length));
    at += jobs.length;
  }
  return together(await Promise.all(outcomes));
}

type SliceOutcome =
  | { readonly results: readonly SubmitResult[] }
  | { readonly error: unknown; readonly count: number };

function outcomeOf(results: Promise<readonly SubmitResult[]>, count: number): Promise<SliceOutcome> {
  return results.then(
    (given) => ({ results: given }),
    (error: unknown) => ({ error, count }),
  );
}

function together(outcomes: readonly SliceOutcome[]): readonly SubmitResult[] {
  const errors = outcomes.flatMap((outcome) => ('error' in outcome ? [outcome.error] : []));
  const [first] = errors;
  if (first !== undefined && errors.length === outcomes.length) throw errors.find(isUncertain) ?? first;
  return outcomes.flatMap((outcome) =>
    'results' in outcome
      ? outcome.results
      : Array.from({ length: outcome.count }, () => ({ error: toWireError(outcome.error) })),
  );
}

function isUncertain(error: unknown): boolean {
  return !(error instanceof AspenError) || error.outcome === 'unknown';
}
