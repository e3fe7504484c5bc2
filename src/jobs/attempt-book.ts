import { ByAttempt } from './by-attempt.ts';
import type { LocalAttempt } from './local-attempt.ts';
import type { AttemptRef } from './settlement.ts';

/** Jobs whose last ended attempt is remembered at least; of at most twice as many it is. */
const REMEMBERED = 10_000;

/**
 * The attempts of this node: those that are held, and which are over, so that an assignment that comes twice or late begins nothing (X1).
 * Tokens of one job only grow (J5), so the greatest that has ended stands for all before it. The oldest are forgotten a generation at a time.
 */
export class AttemptBook {
  readonly #held = new ByAttempt<LocalAttempt>(
    ({ ref }) => ref.jobId,
    ({ ref }) => ref.fencingToken,
  );
  #over = new Map<string, number>();
  #longOver = new Map<string, number>();

  get size(): number {
    return this.#held.size;
  }

  find({ jobId, fencingToken }: AttemptRef): LocalAttempt | undefined {
    return this.#held.find(jobId, fencingToken);
  }

  all(): readonly LocalAttempt[] {
    return this.#held.values();
  }

  keep(attempt: LocalAttempt): void {
    this.#held.set(attempt);
  }

  end({ jobId, fencingToken }: AttemptRef): void {
    this.#held.delete(jobId, fencingToken);
    if (fencingToken > (this.#over.get(jobId) ?? -1)) this.#over.set(jobId, fencingToken);
    if (this.#over.size < REMEMBERED) return;
    this.#longOver = this.#over;
    this.#over = new Map();
  }

  isOver({ jobId, fencingToken }: AttemptRef): boolean {
    const last = this.#over.get(jobId) ?? this.#longOver.get(jobId);
    return last !== undefined && fencingToken <= last;
  }
}
