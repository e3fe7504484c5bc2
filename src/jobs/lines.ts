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

  add(job: ReadyJob, placement: Placement): void {
    const name = JSON.stringify(placement);
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = { placement, queue: new ReadyQueue(), preferredSinceMs: null };
      this.#lines.set(name, line);
    }
    line.queue.add(job);
  }

  remove(job: ReadyJob, placement: Placement): void {
    const name = JSON.stringify(placement);
    const line = this.#lines.get(name);
    line?.queue.remove(job);
    if (line?.queue.size === 0) this.#lines.delete(name);
  }
}
