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
  add(job: ReadyJob, placement: Placement): void {
    const { key } = placement;
    this.#lineOf(placement).queue.add(key === undefined ? job : { ...job, affinityKey: key });
  }

  remove(job: ReadyJob, placement: Placement): void {
    const name = nameOf(placement);
    const line = this.#lines.get(name);
    line?.queue.remove(job);
    if (line?.queue.size === 0) this.#lines.delete(name);
  }

  #lineOf(placement: Placement): Line {
    const name = nameOf(placement);
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const { key: _, ...demands } = placement;
    const line: Line = { placement: demands, queue: new ReadyQueue(), preferredSinceMs: null };
    this.#lines.set(name, line);
    return line;
  }
}

/** Names of placements that many jobs share, which is most of them. */
const names = new WeakMap<Placement, string>();

function nameOf(placement: Placement): string {
  const known = names.get(placement);
  if (known !== undefined) return known;
  const { key: _, ...demands } = placement;
  const name = JSON.stringify(demands);
  names.set(placement, name);
  return name;
}
