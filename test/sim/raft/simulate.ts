import { BUGS } from './bugs.ts';
import { LawBroken } from './laws.ts';
import { Trace } from './trace.ts';
import { NO_BUG, Stuck, World } from './world.ts';

export type Outcome = 'ok' | 'wrong' | 'stuck' | 'crashed';

export const EXIT_CODES: Readonly<Record<Outcome, number>> = { ok: 0, wrong: 1, stuck: 2, crashed: 3 };

export interface Run {
  readonly seed: number;
  readonly outcome: Outcome;
  readonly hash: string;
  readonly summary: string;
  readonly error: unknown;
  readonly lastLines: readonly string[];
}

/** One whole life of a group from one seed. @param bugName a planted bug of {@link BUGS}. */
export function simulate(seed: number, options: { bugName?: string; isPrinting?: boolean } = {}): Run {
  const bug = options.bugName === undefined ? NO_BUG : BUGS[options.bugName];
  if (bug === undefined)
    throw new Error(`no planted bug is called ${options.bugName}: ${Object.keys(BUGS).join(', ')}`);
  const trace = new Trace(options.isPrinting ?? false);
  const world = new World(seed, bug, trace);
  let error: unknown = null;
  try {
    world.run();
  } catch (caught) {
    error = caught;
  }
  trace.add(world.summary);
  const { hash, lastLines } = trace;
  return { seed, outcome: outcomeOf(error), hash, summary: world.summary, error, lastLines };
}

function outcomeOf(error: unknown): Outcome {
  if (error === null) return 'ok';
  if (error instanceof LawBroken) return 'wrong';
  return error instanceof Stuck ? 'stuck' : 'crashed';
}
