import type { LocalAttempt } from './local-attempt.ts';

/** Ended attempts that are remembered at least; at most twice as many are. */
const REMEMBERED = 10_000;

/**
 * The attempts of this node by name: those that are held, and the names of those that are over, so that an assignment that comes twice or late
 * begins nothing (X1). The oldest names are forgotten a generation at a time.
 */
export class AttemptBook {
  readonly #held = new Map<string, LocalAttempt>();
  #over = new Set<string>();
  #longOver = new Set<string>();

  get size(): number {
    return this.#held.size;
  }

  find(name: string): LocalAttempt | undefined {
    return this.#held.get(name);
  }

  all(): readonly LocalAttempt[] {
    return [...this.#held.values()];
  }

  keep(attempt: LocalAttempt): void {
    this.#held.set(attempt.name, attempt);
  }

  end(name: string): void {
    this.#held.delete(name);
    this.#over.add(name);
    if (this.#over.size < REMEMBERED) return;
    this.#longOver = this.#over;
    this.#over = new Set();
  }

  isOver(name: string): boolean {
    return this.#over.has(name) || this.#longOver.has(name);
  }
}
