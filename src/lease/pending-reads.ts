import type { LogIndex } from '../base/index.ts';
import type { ConfirmedRead, Hurry } from './raft/index.ts';

const HURRIES: readonly Hurry[] = ['with-beat', 'now'];

interface Reader {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Readers on their way through a quorum round: all that asked in one turn share a context, and are let through once what was committed
 * when they asked is applied here.
 */
export class PendingReads {
  readonly #gathered: Record<Hurry, Reader[]> = { 'with-beat': [], now: [] };
  readonly #asked = new Map<number, Reader[]>();
  #confirmed: { readonly index: LogIndex; readonly readers: readonly Reader[] }[] = [];
  #lastContext = 0;

  add(reader: Reader, hurry: Hurry): void {
    this.#gathered[hurry].push(reader);
  }

  /** A reader that no quorum need be asked for: it waits only until everything up to `index` is applied. */
  await(index: LogIndex, reader: Reader): void {
    this.#confirmed.push({ index, readers: [reader] });
  }

  /** @param request passes a context to raft; false when this node does not lead. */
  ask(request: (context: number, hurry: Hurry) => boolean, refusal: () => Error): void {
    for (const hurry of HURRIES) {
      const readers = this.#gathered[hurry];
      if (readers.length === 0) continue;
      this.#gathered[hurry] = [];
      this.#lastContext += 1;
      if (request(this.#lastContext, hurry)) this.#asked.set(this.#lastContext, readers);
      else for (const reader of readers) reader.reject(refusal());
    }
  }

  confirm(reads: readonly ConfirmedRead[]): void {
    for (const { context, index } of reads) {
      this.#confirmed.push({ index, readers: this.#asked.get(context) ?? [] });
      this.#asked.delete(context);
    }
  }

  fail(contexts: readonly number[], refusal: () => Error): void {
    for (const context of contexts) {
      for (const reader of this.#asked.get(context) ?? []) reader.reject(refusal());
      this.#asked.delete(context);
    }
  }

  applied(index: LogIndex): void {
    if (this.#confirmed.length === 0) return;
    const ready = this.#confirmed.filter((read) => read.index <= index);
    if (ready.length === 0) return;
    this.#confirmed = this.#confirmed.filter((read) => read.index > index);
    for (const { readers } of ready) for (const reader of readers) reader.resolve();
  }

  failAll(refusal: () => Error): void {
    this.fail([...this.#asked.keys()], refusal);
    const rest = HURRIES.flatMap((hurry) => this.#gathered[hurry].splice(0));
    for (const { readers } of this.#confirmed) rest.push(...readers);
    this.#confirmed = [];
    for (const reader of rest) reader.reject(refusal());
  }
}
