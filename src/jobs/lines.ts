import type { Placement } from '../affinity/index.ts';
import type { PeerId } from '../base/index.ts';
import type { Line, LineOwner } from './plan.ts';
import { type ReadyJob, ReadyQueue } from './ready-queue.ts';
import { SPEC_BASE } from './spec.ts';

const LAST_TURNS_LIMIT = 1_000;
const NO_OWNER: LineOwner = { queue: SPEC_BASE.queue, namespace: SPEC_BASE.namespace };

/**
 * Every waiting job, in lines of equal demands and bounds.
 *
 * - P8 While a job of a concurrency key is parked, one of that key runs or waits in a line: whenever one ends or leaves its line, the
 *   first that is parked goes back to its line.
 */
export class Lines {
  readonly #lines = new Map<string, Line>();
  /** Whose turn it was in lines that are empty now: jobs that come one by one go round as well. */
  readonly #lastTurns = new Map<string, PeerId>();

  /** Jobs that may be tried; those that are set aside are not counted. */
  get size(): number {
    let size = 0;
    for (const { queue } of this.#lines.values()) size += queue.size;
    return size;
  }

  all(): Iterable<Line> {
    return this.#lines.values();
  }

  /** A job that was taken may be put back; one that waits already stays where it is. */
  add(job: ReadyJob, placement: Placement, owner: LineOwner = NO_OWNER): void {
    const { key } = placement;
    const added = key === undefined ? job : { ...job, affinityKey: key };
    const line = this.#lineOf(placement, owner);
    const parked = line.parked.size === 0 ? undefined : line.parked.get(job.concurrencyKey ?? '');
    if (parked?.has(added) !== true) line.queue.add(added);
  }

  /** P8 */
  remove(job: ReadyJob, placement: Placement, owner: LineOwner = NO_OWNER): void {
    const line = this.#lines.get(nameOf(placement, owner));
    line?.queue.remove(job);
    line?.parked.get(job.concurrencyKey ?? '')?.remove(job);
    this.left(job.concurrencyKey ?? null, placement, owner);
  }

  /** P8: a job of that key has left its line; what a plan took and was assigned had done so before. */
  left(concurrencyKey: string | null, placement: Placement, owner: LineOwner = NO_OWNER): void {
    const name = nameOf(placement, owner);
    const line = this.#lines.get(name);
    if (line === undefined) return;
    if (concurrencyKey !== null && line.parked.size > 0) {
      if (line.parked.get(concurrencyKey)?.size === 0) line.parked.delete(concurrencyKey);
      this.unpark(owner.queue, concurrencyKey);
    }
    if (line.queue.size === 0 && line.parked.size === 0) this.#drop(name, line);
  }

  /** P8. One of the key has ended: the next of each line may be tried. */
  unpark(queue: string, concurrencyKey: string): void {
    for (const line of this.#lines.values()) {
      if (line.parked.size === 0 || line.owner.queue !== queue) continue;
      const parked = line.parked.get(concurrencyKey);
      const next = parked?.take();
      if (next !== undefined) line.queue.add(next);
      if (parked?.size === 0) line.parked.delete(concurrencyKey);
    }
  }

  /** The limits have changed: all that is set aside is tried again. */
  unparkAll(): void {
    for (const { queue, parked } of this.#lines.values()) {
      for (const others of parked.values())
        for (let job = others.take(); job !== undefined; job = others.take()) queue.add(job);
      parked.clear();
    }
  }

  #drop(name: string, { lastTurn }: Line): void {
    this.#lines.delete(name);
    if (lastTurn === undefined) return;
    this.#lastTurns.delete(name); // the latest stands last
    this.#lastTurns.set(name, lastTurn);
    const [oldest] = this.#lastTurns.keys();
    if (this.#lastTurns.size > LAST_TURNS_LIMIT && oldest !== undefined) this.#lastTurns.delete(oldest);
  }

  #lineOf(placement: Placement, owner: LineOwner): Line {
    const name = nameOf(placement, owner);
    const known = this.#lines.get(name);
    if (known !== undefined) return known;
    const { key: _, ...demands } = placement;
    const { queue, namespace } = owner;
    const line: Line = {
      placement: demands,
      queue: new ReadyQueue(),
      owner: { queue, namespace },
      parked: new Map(),
      preferredSinceMs: null,
      lastTurn: this.#lastTurns.get(name),
    };
    this.#lines.set(name, line);
    return line;
  }
}

/** Names of placements that many jobs share, which is most of them. */
const names = new WeakMap<Placement, string>();

function nameOf(placement: Placement, { queue, namespace }: LineOwner): string {
  const demands = demandsOf(placement);
  if (queue === SPEC_BASE.queue && namespace === SPEC_BASE.namespace) return demands;
  return `${demands}\u0000${queue}\u0000${namespace}`;
}

function demandsOf(placement: Placement): string {
  const known = names.get(placement);
  if (known !== undefined) return known;
  const { key: _, ...demands } = placement;
  const name = JSON.stringify(demands);
  names.set(placement, name);
  return name;
}
