import type { Bucket } from '../lease/machine/index.ts';
import type { Key } from './machine-port.ts';
import type { Buckets, Limited, Running } from './start-rules.ts';
import type { QueueTally, Tally } from './tallies.ts';

/** What one planned start takes, until it is known whether it was agreed. */
export interface PlannedStart {
  readonly counted: readonly string[];
  readonly spent: readonly Key[];
}

interface PlannedBucket {
  readonly bucket: Bucket;
  /** Planned starts that took from it. */
  readonly count: number;
}

/**
 * What plans that are on their way into the log will take from limits: counted on top of what is agreed, so that a plan need not wait for
 * the one before. A plan that was agreed counts twice until {@link PlannedStarts.end} is called: the forecast is too careful then, never too bold.
 */
export class PlannedStarts {
  readonly #counts = new Map<string, number>();
  readonly #buckets = new Map<Key, PlannedBucket>();

  /** @param spent the buckets that were taken from, as `put` has them now. */
  begin({ queue, namespace, concurrencyKey }: Limited, spent: readonly Key[]): PlannedStart {
    const counted = [`q/${queue}`, `n/${namespace}`];
    if (concurrencyKey !== null) counted.push(keyName(queue, concurrencyKey));
    for (const name of counted) this.#counts.set(name, this.#of(name) + 1);
    return { counted, spent };
  }

  /** It is agreed, or refused. */
  end({ counted, spent }: PlannedStart): void {
    for (const name of counted) {
      const count = this.#of(name) - 1;
      if (count > 0) this.#counts.set(name, count);
      else this.#counts.delete(name);
    }
    for (const key of spent) {
      const planned = this.#buckets.get(key);
      if (planned !== undefined && planned.count > 1)
        this.#buckets.set(key, { ...planned, count: planned.count - 1 });
      else this.#buckets.delete(key);
    }
  }

  /** @returns the agreed counts with the planned ones. */
  over(agreed: Running): Running {
    return {
      ofQueue: (name): QueueTally => this.#more(agreed.ofQueue(name), `q/${name}`),
      ofNamespace: (name): Tally => this.#more(agreed.ofNamespace(name), `n/${name}`),
      runningOfKey: (queue, key) => agreed.runningOfKey(queue, key) + this.#of(keyName(queue, key)),
    };
  }

  /** @returns the agreed buckets, as they will be. */
  bucketsOver(agreed: Pick<Buckets, 'get'>): Buckets {
    return {
      get: (key) => this.#buckets.get(key)?.bucket ?? agreed.get(key),
      put: (key, bucket) =>
        void this.#buckets.set(key, { bucket, count: (this.#buckets.get(key)?.count ?? 0) + 1 }),
    };
  }

  #more<T extends Tally>(agreed: T, name: string): T {
    const planned = this.#of(name);
    return planned === 0 ? agreed : { ...agreed, running: agreed.running + planned };
  }

  #of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }
}

function keyName(queue: string, concurrencyKey: string): string {
  return `k/${queue}\u0000${concurrencyKey}`;
}
