import { median, round } from './statistics.ts';

/** One line of the result: the median of several runs, with how far they lay apart. */
export interface Figure {
  readonly what: string;
  readonly unit: 'jobs/s' | 'writes/s' | 'MB/s' | 'ms' | 's' | 'MB' | '% of a core';
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
  readonly runCount: number;
}

export interface BenchOptions {
  /** How often each measurement is repeated. */
  readonly runCount: number;
}

export interface Bench {
  readonly name: string;
  /** What is measured, and how, in one sentence. */
  readonly method: string;
  run(options: BenchOptions): Promise<readonly Figure[]>;
}

/** @param runs what each run measured, in the unit of the figure. */
export function figure(what: string, unit: Figure['unit'], runs: readonly number[]): Figure {
  return {
    what,
    unit,
    median: round(median(runs)),
    lowest: round(Math.min(...runs)),
    highest: round(Math.max(...runs)),
    runCount: runs.length,
  };
}

/** Runs the same measurement several times, one after the other. */
export async function repeat<T>(count: number, measure: (run: number) => Promise<T>): Promise<T[]> {
  const results: T[] = [];
  for (let run = 1; run <= count; run += 1) results.push(await measure(run));
  return results;
}
