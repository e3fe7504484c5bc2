/**
 * R6 The latest configuration in the log counts, committed or not (paper, section 6); when its entry is cut away, the
 *    one before it counts again.
 */

import { invariant } from '../../base/assert.ts';
import type { LogIndex } from '../../base/brand.ts';
import { logIndex } from './positions.ts';
import type { Configuration, Entry, LogReader } from './types.ts';

interface Placed {
  /** Index of its entry; 0 when it is older than everything that can still be cut. */
  readonly index: number;
  readonly configuration: Configuration;
}

export class ConfigurationHistory {
  readonly #reader: LogReader;
  /** Oldest first; the last one counts. */
  #placed: Placed[];

  /** @param commitIndex entries after it are searched: only they can still be cut. */
  constructor(reader: LogReader, latest: Configuration, commitIndex: LogIndex) {
    this.#reader = reader;
    const index = findLatest(reader, reader.lastIndex(), commitIndex + 1)?.index ?? 0;
    this.#placed = [{ index, configuration: latest }];
  }

  get latest(): Configuration {
    return (this.#placed.at(-1) as Placed).configuration;
  }

  /** Index of the entry that holds the latest configuration; 0 when it is committed for sure. */
  get latestIndex(): LogIndex {
    return logIndex((this.#placed.at(-1) as Placed).index);
  }

  /**
   * The configuration that counts again if the latest one is cut away; null when it cannot be any more.
   * Walks back through the durable log the first time after a restart.
   */
  previous(commitIndex: LogIndex): Configuration | null {
    const { index } = this.#placed.at(-1) as Placed;
    if (index <= commitIndex) return null;
    if (this.#placed.length === 1) this.#placed.unshift(this.#durableBefore(index));
    return (this.#placed.at(-2) as Placed).configuration;
  }

  append(entries: readonly Entry[]): boolean {
    let isChanged = false;
    for (const { configuration, index } of entries) {
      if (configuration === undefined) continue;
      this.#placed.push({ index, configuration });
      isChanged = true;
    }
    return isChanged;
  }

  /** Entries from `from` on were cut. */
  truncate(from: LogIndex): void {
    while (this.#placed.length > 0 && (this.#placed.at(-1) as Placed).index >= from) this.#placed.pop();
    if (this.#placed.length > 0) return;
    this.#placed = [this.#durableBefore(from)];
  }

  /** Forgets what can no longer be returned to. */
  committed(commitIndex: LogIndex): void {
    while (this.#placed.length > 1 && (this.#placed[1] as Placed).index <= commitIndex) this.#placed.shift();
  }

  restart(configuration: Configuration): void {
    this.#placed = [{ index: 0, configuration }];
  }

  #durableBefore(index: number): Placed {
    const older = findLatest(this.#reader, index - 1, this.#reader.firstIndex());
    return older ?? { index: 0, configuration: this.#reader.snapshotMeta().configuration };
  }
}

function findLatest(reader: LogReader, from: number, downTo: number): Placed | undefined {
  for (let index = from; index >= downTo; index -= 1) {
    const [entry] = reader.entries(logIndex(index), logIndex(index + 1), 0);
    invariant(entry?.index === index, () => `the durable log must hold ${index}`);
    if (entry.configuration !== undefined) return { index, configuration: entry.configuration };
  }
  return undefined;
}
