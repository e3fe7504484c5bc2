import { AspenError } from '../base/index.ts';

/** Notes kept for a consumer that is slower than the agent; above it the subscription ends. */
const BUFFERED_LIMIT = 10_000;

/** One notification of a subscription, without the subscription's id. */
export type Note = Readonly<Record<string, unknown>>;

/** The notifications of one subscription, from the connection to whoever iterates. */
export class NoteStream {
  #notes: Note[] = [];
  #limit = BUFFERED_LIMIT;
  #end: { readonly error?: AspenError } | undefined;
  #wake: () => void = () => undefined;

  /** @param limit notes kept for a slow consumer from now on. */
  limitTo(limit: number): void {
    this.#limit = limit;
  }

  push(note: Note): void {
    if (this.#end !== undefined) return;
    this.#notes.push(note);
    if (this.#notes.length > this.#limit) {
      this.#notes = [];
      this.#end = {
        error: new AspenError('RESOURCE_EXHAUSTED', `more than ${this.#limit} notes wait to be read`, {
          details: { limit: 'BUFFERED_LIMIT' },
        }),
      };
    }
    this.#wake();
  }

  /** @param reason why it ends early; absent when it was asked to end. @param error the same as the agent would answer it. */
  end(reason?: string, error?: AspenError): void {
    this.#end ??= reason === undefined ? {} : { error: error ?? endedError(reason) };
    this.#wake();
  }

  /** @throws AspenError UNAVAILABLE, RESOURCE_EXHAUSTED after the last note when it ended early. */
  async *read(signal?: AbortSignal): AsyncGenerator<Note, void, undefined> {
    const wakeUp = () => this.#wake();
    signal?.addEventListener('abort', wakeUp);
    try {
      while (signal?.aborted !== true) {
        yield* this.#notes.splice(0);
        if (this.#notes.length > 0) continue;
        if (this.#end?.error !== undefined) throw this.#end.error;
        if (this.#end !== undefined) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener('abort', wakeUp);
    }
  }
}

function endedError(reason: string): AspenError {
  return new AspenError('UNAVAILABLE', `the subscription ended: ${reason}`, { outcome: 'not-applied' });
}
