import type { Placement } from '../affinity/index.ts';
import type { Line } from './plan.ts';
import { type ReadyJob, ReadyQueue } from './ready-queue.ts';

/** Every waiting job, in lines of equal demands. */
export class Lines {
  readonly #lines = new Map<string, Line>();

  get size(): number {
    let size = 0;
    for (const { queue } of this.#lines.values()) size += queue.size;
    return size;
  }

  all(): Iterable<Line> {
    return this.#lines.values();
  }

  /** A job that was taken may be put back; one that waits already stays where it is. */
  add(job: ReadyJob, { key: affinityKey, ...demands }: Placement): void {
    const line = this.#lineOf(demands);
    line.queue.add(affinityKey === undefined ? job : { ...job, affinityKey });
  }

  remove(job: ReadyJob, { key: _, ...demands }: Placement): void {
    const name = nameOf(demands);
    const line = this.#lines.get(name);
    line?.queue.remove(job);
    if (line?.queue.size === 0) this.#lines.delete(name);
  }

  #lineOf(demands: Placement): Line {
    const name = nameOf(demands);
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const line: Line = { placement: demands, queue: new ReadyQueue(), preferredSinceMs: null };
    this.#lines.set(name, line);
    return line;
  }
}

function nameOf(demands: Placement): string {
  return JSON.stringify(demands);
}
