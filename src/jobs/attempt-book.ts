import type { LocalAttempt } from './local-attempt.ts';
import type { AttemptRef } from './settle.ts';

/** Ended attempts that are remembered at least; at most twice as many are. */
const REMEMBERED = 10_000;

/**
 * The attempts of this node: those that are held, and the names of those that are over, so that an assignment that comes twice or late
 * begins nothing (X1). The oldest names are forgotten a generation at a time.
 */
export class AttemptBook {
  readonly #held = new Map<string, LocalAttempt>();
  #over = new Set<string>();
  #longOver = new Set<string>();

  get size(): number {
    return this.#held.size;
  }

  find(ref: AttemptRef): LocalAttempt | undefined {
    return this.#held.get(nameOf(ref));
  }

  all(): readonly LocalAttempt[] {
    return [...this.#held.values()];
  }

  keep(attempt: LocalAttempt): void {
    this.#held.set(nameOf(attempt.ref), attempt);
  }

  end(ref: AttemptRef): void {
    const name = nameOf(ref);
    this.#held.delete(name);
    this.#over.add(name);
    if (this.#over.size < REMEMBERED) return;
    this.#longOver = this.#over;
    this.#over = new Set();
  }

  isOver(ref: AttemptRef): boolean {
    const name = nameOf(ref);
    return this.#over.has(name) || this.#longOver.has(name);
  }
}

function nameOf({ jobId, attempt, fencingToken }: AttemptRef): string {
  return `${jobId}/${attempt}/${fencingToken}`;
}
