import type { Timer } from '../base/index.ts';
import { type AttemptComponents, type Order, SupervisedAttempt } from './supervised-attempt.ts';

/** Told what becomes of attempts, in order. */
export interface SupervisionListener {
  started(attempt: SupervisedAttempt): void;
  output(attempt: SupervisedAttempt): void;
  ended(attempt: SupervisedAttempt): void;
}

/** Where a supervisor notes what it began and what has ended, for whoever looks after the machine was started again. */
export interface AttemptJournal {
  begun(attempt: SupervisedAttempt): void;
  ended(attempt: SupervisedAttempt): void;
}

export interface SupervisionComponents extends AttemptComponents {
  readonly journal: AttemptJournal;
  /** Draws a mark that no other attempt ever has. */
  readonly drawMark: () => string;
}

/** How often holds and time limits are looked at while anything runs. Unit: ms. */
const LOOK_MS = 50;

/** All attempts of one supervisor: the part of it that is the same on real machines and in the simulator. */
export class Supervision {
  readonly #components: SupervisionComponents;
  readonly #attempts = new Map<string, SupervisedAttempt>();
  readonly #following = new Set<Promise<void>>();
  #listener: SupervisionListener | null = null;
  #timer: Timer | undefined;

  constructor(components: SupervisionComponents) {
    this.#components = components;
  }

  /** Those that run, and those whose end was not told yet. */
  all(): readonly SupervisedAttempt[] {
    return [...this.#attempts.values()];
  }

  /** Whether there is nothing that anybody could still want of it: what ended untold is worth nothing when its hold has passed. */
  get isIdle(): boolean {
    const bootMs = this.#components.clock.bootMs();
    return this.all().every(({ end, holdUntilBootMs }) => end !== null && holdUntilBootMs <= bootMs);
  }

  /** One at a time: a later one takes over. Null when nobody listens. */
  listen(listener: SupervisionListener | null): void {
    this.#listener = listener;
  }

  /** A name that is known begins nothing (an attempt runs once). */
  begin(order: Order): void {
    if (this.#attempts.has(order.name)) return;
    const { journal } = this.#components;
    const attempt = new SupervisedAttempt(this.#components, {
      order,
      mark: this.#components.drawMark(),
      events: {
        started: (one) => {
          journal.begun(one);
          this.#listener?.started(one);
        },
        output: (one) => this.#listener?.output(one),
        ended: (one) => {
          journal.ended(one);
          this.#listener?.ended(one);
        },
      },
    });
    this.#attempts.set(order.name, attempt);
    const following = attempt.follow().finally(() => this.#following.delete(following));
    this.#following.add(following);
    this.#watch();
  }

  renew(name: string, holdUntilBootMs: number): void {
    const attempt = this.#attempts.get(name);
    if (attempt !== undefined) attempt.holdUntilBootMs = holdUntilBootMs;
  }

  stop(name: string, graceMs: number): void {
    this.#attempts.get(name)?.stop('stop', graceMs);
  }

  /** V4. */
  forget(name: string): void {
    if (this.#attempts.get(name)?.end != null) this.#attempts.delete(name);
  }

  /** Ends all that runs. */
  async stopAll(graceMs: number): Promise<void> {
    for (const attempt of this.#attempts.values()) attempt.stop('stop', graceMs);
    await Promise.all(this.#following);
  }

  /** V1: by a look every {@link LOOK_MS}, so that a sleep of the machine, which no timer counts, is noticed as well. */
  #watch(): void {
    if (this.#timer !== undefined) return;
    this.#timer = this.#components.clock.setTimer(LOOK_MS, () => {
      this.#timer = undefined;
      const bootMs = this.#components.clock.bootMs();
      let isAnyRunning = false;
      for (const attempt of this.#attempts.values()) {
        if (attempt.end !== null) continue;
        isAnyRunning = true;
        attempt.checkTime(bootMs);
      }
      if (isAnyRunning) this.#watch();
    });
  }
}
