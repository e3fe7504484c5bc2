import type { Clock, Timer } from '../base/index.ts';
import type { AttemptContext } from './execution/executor.ts';

/**
 * Notices when an attempt has given no sign of life for too long. A sign costs one reading of the clock: the timer is set again only when
 * it fires.
 */
export class SilenceWatch implements Disposable {
  readonly #clock: Clock;
  readonly #limitMs: number;
  readonly #onSilent: () => void;
  #lastMs: number;
  #timer: Timer | undefined;

  /** @param limitMs longest silence. */
  constructor(clock: Clock, limitMs: number, onSilent: () => void) {
    this.#clock = clock;
    this.#limitMs = limitMs;
    this.#onSilent = onSilent;
    this.#lastMs = clock.monotonicMs();
    this.#wait(limitMs);
  }

  /** A sign of life. */
  beat(): void {
    this.#lastMs = this.#clock.monotonicMs();
  }

  [Symbol.dispose](): void {
    this.#timer?.cancel();
  }

  #wait(ms: number): void {
    this.#timer = this.#clock.setTimer(ms, () => {
      const leftMs = this.#lastMs + this.#limitMs - this.#clock.monotonicMs();
      if (leftMs > 0) this.#wait(leftMs);
      else this.#onSilent();
    });
  }
}

/** @returns the context of an attempt whose progress, output and heartbeats are signs of life. */
export function withSigns<C extends AttemptContext>(context: C, watch: SilenceWatch | undefined): C {
  if (watch === undefined) return context;
  const { output } = context;
  return {
    ...context,
    get signal() {
      return context.signal;
    },
    output: {
      write: (stream, bytes) => {
        watch.beat();
        output.write(stream, bytes);
      },
      whenRoom: () => output.whenRoom?.(),
      attach: (source) => {
        source.onOutput(() => watch.beat());
        output.attach?.(source);
      },
    },
    progress: (progress) => {
      watch.beat();
      context.progress(progress);
    },
    beat: () => watch.beat(),
  };
}
