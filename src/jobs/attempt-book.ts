import { ByAttempt } from './by-attempt.ts';
import type { LocalAttempt } from './local-attempt.ts';
import type { AttemptRef } from './settlement.ts';

/** Attempts that are remembered as ended, at least; at most twice as many are. */
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
  #over = new EndedAttempts();
  #longOver = new EndedAttempts();

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

  end(ref: AttemptRef): void {
    this.#held.delete(ref.jobId, ref.fencingToken);
    this.#over.add(ref);
    if (this.#over.count < REMEMBERED) return;
    this.#longOver = this.#over;
    this.#over = new EndedAttempts();
  }

  isOver(ref: AttemptRef): boolean {
    return this.#over.has(ref) || this.#longOver.has(ref);
  }
}

/**
 * Attempts that ended, in that order. What is assigned now nearly always has a greater token than whatever ended, so hardly anybody asks for
 * one of them: they are looked up in a map, but put into it no sooner than somebody does.
 */
class EndedAttempts {
  readonly #jobIds: string[] = [];
  readonly #tokens: number[] = [];
  #mostToken = -1;
  /** The greatest token of each job, of the first so many. */
  readonly #mostOf = new Map<string, number>();
  #mappedCount = 0;

  get count(): number {
    return this.#jobIds.length;
  }

  add({ jobId, fencingToken }: AttemptRef): void {
    this.#jobIds.push(jobId);
    this.#tokens.push(fencingToken);
    if (fencingToken > this.#mostToken) this.#mostToken = fencingToken;
  }

  /** @returns whether this attempt of its job is among them, or a later one. */
  has({ jobId, fencingToken }: AttemptRef): boolean {
    if (fencingToken > this.#mostToken) return false;
    this.#mapAll();
    return fencingToken <= (this.#mostOf.get(jobId) ?? -1);
  }

  #mapAll(): void {
    for (; this.#mappedCount < this.#jobIds.length; this.#mappedCount += 1) {
      const jobId = this.#jobIds[this.#mappedCount] as string;
      const token = this.#tokens[this.#mappedCount] as number;
      if (token > (this.#mostOf.get(jobId) ?? -1)) this.#mostOf.set(jobId, token);
    }
  }
}
