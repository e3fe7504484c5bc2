import { type Clock, every, type Logger, sleep } from '../base/index.ts';
import type { Platform } from './platform.ts';

export interface EndingComponents {
  readonly clock: Clock;
  readonly log: Logger;
}

/** What the end of any part of an agent is told with. */
export function endingOf({ clock, logger }: Pick<Platform, 'clock' | 'logger'>): EndingComponents {
  return { clock, log: logger.child({ part: 'ending' }) };
}

/** How often the log says what is still waited for. Unit: ms. */
const TELL_EVERY_MS = 4_000;

/**
 * The end of a node, step by step. What concerns others may take as long as they please: they may be gone, or ending themselves.
 *
 * - E1 All steps together are waited for no longer than the limit; once it has passed each still begins, and none is waited for.
 * - E2 A step that is not over in time is left behind, and the log names it; whatever it ends with later harms nobody.
 * - E3 A step that fails does not keep those after it from being made; the first failure is told when all have been.
 */
export class Ending {
  readonly #components: EndingComponents;
  readonly #untilMs: number;
  #failure: { readonly error: unknown } | undefined;

  /** @param limitMs from now on, for all steps together. */
  constructor(components: EndingComponents, limitMs: number) {
    this.#components = components;
    this.#untilMs = components.clock.monotonicMs() + limitMs;
  }

  /** Unit: ms. */
  get leftMs(): number {
    return Math.max(0, this.#untilMs - this.#components.clock.monotonicMs());
  }

  /** @param mostMs how much of the limit it may use. @returns whether it was over in time. */
  async step(
    name: string,
    work: () => Promise<unknown>,
    mostMs = Number.POSITIVE_INFINITY,
  ): Promise<boolean> {
    const { clock, log } = this.#components;
    const begunMs = clock.monotonicMs();
    const over = new AbortController();
    const working = begun(work).then(
      () => true,
      (error: unknown) => {
        log.warn({ err: error, step: name }, 'a part of this node failed to end');
        if (!over.signal.aborted) this.#failure ??= { error }; // E2, E3
        return true;
      },
    );
    const waiting = sleep(clock, Math.min(mostMs, this.leftMs), over.signal).then(
      () => false,
      () => true, // it rejects for nothing but the end of the step
    );
    const isOver = await Promise.race([working, waiting]);
    over.abort();
    const tookMs = Math.round(clock.monotonicMs() - begunMs);
    if (isOver) log.debug({ step: name, tookMs }, 'a part of this node has ended');
    else log.warn({ step: name, tookMs }, 'a part of this node does not end in time, it is left behind');
    return isOver;
  }

  /** @throws the first failure of a step. */
  finish(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/**
 * E4 Waits for what may not be left behind, however long that takes: jobs, which have limits of their own, and this machine's disk and processes.
 * @param name of the part, for the log. @returns what `work` comes to; rejects with what it fails with.
 */
export async function untilEnded<T>(
  { clock, log }: EndingComponents,
  name: string,
  work: () => Promise<T>,
): Promise<T> {
  const begunMs = clock.monotonicMs();
  using _telling = every(clock, TELL_EVERY_MS, () => {
    log.info(
      { step: name, tookMs: Math.round(clock.monotonicMs() - begunMs) },
      'still waits for a part to end',
    );
  });
  return await work();
}

/** A step that throws before it waits fails like one that rejects. */
async function begun(work: () => Promise<unknown>): Promise<void> {
  await work();
}
