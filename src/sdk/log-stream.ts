import { AspenError, attemptOfOffset } from '../base/index.ts';
import type { JobLog } from '../rpc/index.ts';

/** Output kept for a consumer that is slower than the agent; above it the connection is not read. Unit: characters. */
const BUFFERED_LIMIT = 4 * 2 ** 20;

/** Why a subscription ended that nobody ended. */
export const CONNECTION_LOST = 'the connection has closed';

/** @returns whether output ended early because the agent went away: asked again, it goes on from where it was. */
export function endedWithConnection(error: unknown): boolean {
  return error instanceof AspenError && error.details['reason'] === CONNECTION_LOST;
}

/** A piece of a job's output, as it came. */
export interface LogChunk {
  readonly stream: 'stdout' | 'stderr';
  /** Of which attempt; from the 8,192nd on, offsets do not tell later ones apart. */
  readonly attempt: number;
  /** Of the first byte: `(attempt - 1) * 2 ** 40` and its position in the output of the attempt. Offsets only grow. */
  readonly offset: number;
  readonly data: Buffer;
}

/** The pieces of one subscription, from the connection to whoever iterates. */
export class LogStream {
  readonly #onPressure: (isPressed: boolean) => void;
  #chunks: LogChunk[] = [];
  #bufferedCount = 0;
  #isClaimed = false;
  #isPressed = false;
  #end: { readonly error?: AspenError } | undefined;
  #wake: () => void = () => undefined;

  constructor(onPressure: (isPressed: boolean) => void) {
    this.#onPressure = onPressure;
  }

  push({ stream, offset, data, encoding }: JobLog): void {
    const attempt = attemptOfOffset(offset);
    this.#chunks.push({ stream, attempt, offset, data: Buffer.from(data, encoding ?? 'utf8') });
    this.#bufferedCount += data.length;
    this.#press(this.#isClaimed && this.#bufferedCount > BUFFERED_LIMIT);
    this.#wake();
  }

  /** Somebody reads from now on. Before that nothing may press: the answer that names the subscription is still to be read. */
  claim(): void {
    this.#isClaimed = true;
  }

  /** @param reason why the output ends early; absent at its regular end. */
  end(reason?: string): void {
    this.#end ??=
      reason === undefined
        ? {}
        : {
            error: new AspenError('UNAVAILABLE', `the output ended early: ${reason}`, {
              outcome: 'not-applied',
              details: { reason },
            }),
          };
    this.#wake();
  }

  /** @throws AspenError UNAVAILABLE after the last piece when the output ended early. */
  async *read(signal?: AbortSignal): AsyncGenerator<LogChunk, void, undefined> {
    const wakeUp = () => this.#wake();
    signal?.addEventListener('abort', wakeUp);
    try {
      while (signal?.aborted !== true) {
        const chunks = this.#take();
        yield* chunks;
        if (chunks.length > 0) continue;
        if (this.#end?.error !== undefined) throw this.#end.error;
        if (this.#end !== undefined) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      signal?.removeEventListener('abort', wakeUp);
      this.#press(false);
    }
  }

  #take(): LogChunk[] {
    const chunks = this.#chunks;
    this.#chunks = [];
    this.#bufferedCount = 0;
    this.#press(false);
    return chunks;
  }

  #press(isPressed: boolean): void {
    if (isPressed === this.#isPressed) return;
    this.#isPressed = isPressed;
    this.#onPressure(isPressed);
  }
}
