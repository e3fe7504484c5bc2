import type { Clock, PeerId } from '../base/index.ts';

export interface RecordShelfOptions {
  /** Most records kept for others; the one put longest ago makes room. @default 4_096 */
  readonly recordsLimit?: number;
  /** Most members kept that said they can be asked. @default 256 */
  readonly providersLimit?: number;
  /** Most names whose latest record is remembered, kept here or not. @default 16_384 */
  readonly namesLimit?: number;
  /** What was not put again for this long is gone. Unit: ms. @default 3 hours */
  readonly keepMs?: number;
}

interface Kept<T> {
  readonly value: T;
  readonly putMs: number;
}

/**
 * What this node keeps of a mesh's table of addresses, in memory: each record is small, signed by whom it is about, and put again by that
 * one as long as it lives.
 *
 * - H1 Nothing grows without a limit, and what nobody puts again ends.
 * - H2 Of two records under one name the later one stays: an old one that somebody repeats changes nothing.
 */
export class RecordShelf {
  readonly #clock: Clock;
  readonly #options: Required<RecordShelfOptions>;
  /** Oldest put first. */
  readonly #records = new Map<string, Kept<Uint8Array>>();
  readonly #providers = new Map<PeerId, Kept<Uint8Array>>();
  readonly #latest = new Map<string, number>();

  constructor(clock: Clock, options: RecordShelfOptions = {}) {
    this.#clock = clock;
    this.#options = {
      recordsLimit: options.recordsLimit ?? 4_096,
      providersLimit: options.providersLimit ?? 256,
      namesLimit: options.namesLimit ?? 16_384,
      keepMs: options.keepMs ?? 3 * 3_600_000,
    };
  }

  get recordCount(): number {
    return this.#records.size;
  }

  /** H2 @param issuedAtMs of a record whose signature holds. @returns false when a later one under this name was seen. */
  isLatest(name: string, issuedAtMs: number): boolean {
    const latest = this.#latest.get(name);
    if (latest !== undefined && issuedAtMs < latest) return false;
    putLast(this.#latest, name, issuedAtMs, this.#options.namesLimit);
    return true;
  }

  put(key: string, record: Uint8Array): void {
    putLast(this.#records, key, this.#now(record), this.#options.recordsLimit); // H1
  }

  get(key: string): Uint8Array | undefined {
    return this.#alive(this.#records, key)?.value;
  }

  delete(key: string): void {
    this.#records.delete(key);
  }

  /** @param entry what the table itself notes of it. */
  putProvider(peerId: PeerId, entry: Uint8Array): void {
    putLast(this.#providers, peerId, this.#now(entry), this.#options.providersLimit); // H1
  }

  deleteProvider(peerId: PeerId): void {
    this.#providers.delete(peerId);
  }

  /** Those that said so last come first. */
  providers(): readonly (readonly [PeerId, Uint8Array])[] {
    return [...this.#providers.keys()].reverse().flatMap((peerId) => {
      const kept = this.#alive(this.#providers, peerId);
      return kept === undefined ? [] : [[peerId, kept.value] as const];
    });
  }

  #now<T>(value: T): Kept<T> {
    return { value, putMs: this.#clock.monotonicMs() };
  }

  #alive<K, T>(kept: Map<K, Kept<T>>, key: K): Kept<T> | undefined {
    const found = kept.get(key);
    if (found === undefined || this.#clock.monotonicMs() - found.putMs < this.#options.keepMs) return found;
    kept.delete(key);
    return undefined;
  }
}

function putLast<K, V>(map: Map<K, V>, key: K, value: V, limit: number): void {
  map.delete(key);
  const [oldest] = map.keys();
  if (oldest !== undefined && map.size >= limit) map.delete(oldest);
  map.set(key, value);
}
