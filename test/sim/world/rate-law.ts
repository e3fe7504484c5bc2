import type { JobRecord } from '../../../src/jobs/record.ts';
import type { ApplyContext } from '../../../src/lease/machine/index.ts';
import { limitsOf } from './job-laws.ts';

/** Rounding of what buckets hold. Unit: starts. */
const SLACK = 1e-6;

interface Starts {
  /** Group time of each start since the limit was set. */
  readonly atMs: number[];
}

/**
 * Rates never exceeded: in any t seconds of group time at most burst + t x rate attempts of a queue, or a type, start. Every replica tells
 * of every position, in order; heard is who tells of it first.
 */
export class RateLaw {
  readonly #starts = new Map<string, Starts>();
  #position = 0;

  /** The limits of `name` were set anew. */
  limitSet(scope: string, name: string, { position }: ApplyContext): void {
    if (position > this.#position) this.#starts.delete(`${scope}/${name}`);
    this.#position = Math.max(this.#position, position);
  }

  /** One command started these. @returns what broke the law. */
  started(records: readonly JobRecord[], context: ApplyContext): string[] {
    if (context.position <= this.#position || records.length === 0) return [];
    this.#position = context.position;
    return records.flatMap(({ spec }) => [
      ...this.#start('queue', spec.queue, context),
      ...this.#start('type', spec.type, context),
    ]);
  }

  #start(scope: string, name: string, context: ApplyContext): string[] {
    const { ratePerSecond, burst = Math.max(1, Math.ceil(ratePerSecond ?? 0)) } = limitsOf(
      context,
      scope,
      name,
    );
    if (ratePerSecond === undefined) return [];
    const starts = this.#starts.get(`${scope}/${name}`) ?? { atMs: [] };
    this.#starts.set(`${scope}/${name}`, starts);
    starts.atMs.push(context.groupMs);
    const broken = starts.atMs.findIndex((fromMs, at) => {
      const most = burst + ((context.groupMs - fromMs) / 1_000) * ratePerSecond;
      return starts.atMs.length - at > most + SLACK;
    });
    if (broken < 0) return [];
    const overMs = context.groupMs - (starts.atMs[broken] as number);
    return [`${starts.atMs.length - broken} jobs of ${scope} ${name} start within ${overMs} ms`];
  }
}
