import type { Observation, Observer } from './observers.ts';

interface Running {
  readonly job: string;
  readonly node: string;
}

/**
 * What ran on a machine when it fell asleep, for longer than a session bears, is never completed by it: nothing is told in the name of a session
 * that ended with the sleep. Members of a group are left out: the others of the group may complete it.
 */
export class SleepersCompleteNothing implements Observer {
  readonly name = 'sleepers complete nothing';
  /** By job and token. */
  readonly #running = new Map<string, Running>();
  /** What ran on a node when it fell asleep last. */
  readonly #atSleep = new Map<string, readonly string[]>();
  readonly #slept = new Map<string, string>();
  readonly #completed = new Set<string>();

  observe(event: Observation): void {
    if (event.type === 'runs' && event.rank === undefined)
      this.#running.set(keyOf(event), { job: event.job, node: event.node });
    if (event.type === 'stopped') this.#running.delete(keyOf(event));
    if (event.type === 'completed') this.#completed.add(keyOf(event));
    if (event.type === 'fallsAsleep') this.#atSleep.set(event.node, this.#runningOn(event.node));
    if (event.type === 'slept')
      for (const attempt of this.#atSleep.get(event.node) ?? []) this.#slept.set(attempt, event.node);
  }

  check(): readonly string[] {
    return [...this.#slept]
      .filter(([attempt]) => this.#completed.has(attempt))
      .map(([attempt, node]) => `${node} completed ${attempt}, which ran when it fell asleep`);
  }

  /** What was completed before is no business of the sleep. */
  #runningOn(node: string): readonly string[] {
    return [...this.#running]
      .filter(([attempt, running]) => running.node === node && !this.#completed.has(attempt))
      .map(([attempt]) => attempt);
  }
}

function keyOf({ job, token }: { readonly job: string; readonly token: number }): string {
  return `${job} with token ${token}`;
}
