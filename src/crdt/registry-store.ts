import { AspenError, decode, encode, type Logger, type PeerId } from '../base/index.ts';
import {
  type Key,
  keyText,
  prefixEnd,
  StorageFault,
  type Store,
  textKey,
  type Write,
} from '../storage/index.ts';
import type { Bulletin } from './bulletins.ts';
import { type Entry, fromWire, toWire } from './entry.ts';
import { CLOCK_RESERVE_MS, type ClockFacts, floorFor, type HlcTime } from './hlc.ts';

const CLOCK_KEY = textKey('crdt/clock');
const NODE_PREFIX = 'crdt/node/';
const BULLETIN_PREFIX = 'crdt/bulletin/';

/**
 * What the registry keeps over a restart: each node's last profile (with its addresses), the bulletins, and a time that no stamp given so far
 * exceeds. Writes are gathered until `flush`; what a node learns twice costs the disk once.
 */
export class RegistryStore {
  readonly #store: Store;
  readonly #log: Logger;
  #dirty = new Map<Key, Write>();
  #clockFloorMs = 0;

  constructor(store: Store, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  clockFloor(): HlcTime | undefined {
    const value = this.#read(CLOCK_KEY, this.#store.get(CLOCK_KEY));
    return Number.isSafeInteger(value) ? { wallMs: value as number, counter: 0 } : undefined;
  }

  *profiles(): Generator<Entry> {
    for (const [key, bytes] of this.#store.range(rangeOf(NODE_PREFIX))) {
      const entry = fromWire(this.#read(key, bytes));
      if (entry !== undefined) yield entry;
    }
  }

  *bulletins(): Generator<Bulletin> {
    for (const [key, bytes] of this.#store.range(rangeOf(BULLETIN_PREFIX))) {
      const [kind = '', ...name] = keyText(key).slice(BULLETIN_PREFIX.length).split('/');
      yield { kind, key: name.join('/'), bytes };
    }
  }

  keepProfile(entry: Entry): void {
    this.#put(textKey(NODE_PREFIX + entry.owner), encode(toWire(entry)));
  }

  forgetProfile(peerId: PeerId): void {
    const key = textKey(NODE_PREFIX + peerId);
    this.#dirty.set(key, { type: 'delete', key });
  }

  keepBulletin({ kind, key, bytes }: Bulletin): void {
    this.#put(textKey(`${BULLETIN_PREFIX}${kind}/${key}`), bytes);
  }

  forgetBulletin({ kind, key: name }: Pick<Bulletin, 'kind' | 'key'>): void {
    const key = textKey(`${BULLETIN_PREFIX}${kind}/${name}`);
    this.#dirty.set(key, { type: 'delete', key });
  }

  /** Makes sure that a restart begins later than all stamps given until the next call; writes only when half of the reserve is used up. */
  reserveClock(clock: ClockFacts): void {
    const wantedMs = floorFor(clock);
    const isEnough =
      clock.lastMs < this.#clockFloorMs && wantedMs - this.#clockFloorMs < CLOCK_RESERVE_MS / 2;
    if (isEnough) return;
    this.#clockFloorMs = wantedMs;
    this.#put(CLOCK_KEY, encode(this.#clockFloorMs));
  }

  /**
   * Writes what was gathered, as one batch. A full disk is not the end: it is kept for the next call.
   * @throws StorageFault other than `full`.
   */
  async flush(): Promise<void> {
    const batch = this.#dirty;
    if (batch.size === 0) return;
    this.#dirty = new Map();
    try {
      await this.#store.write([...batch.values()]);
    } catch (err) {
      if (!(err instanceof StorageFault) || err.kind !== 'full') throw err;
      this.#dirty = new Map([...batch, ...this.#dirty]);
      this.#log.warn({ err }, 'the disk is full, the registry is kept in memory only');
    }
  }

  #put(key: Key, value: Uint8Array): void {
    this.#dirty.set(key, { type: 'put', key, value });
  }

  #read(key: Key, bytes: Uint8Array | undefined): unknown {
    if (bytes === undefined) return undefined;
    try {
      return decode(bytes);
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.#log.warn({ err, key }, 'ignored a damaged record of the registry, others will send it again');
      return undefined;
    }
  }
}

function rangeOf(prefix: string): { readonly from: Key; readonly to: Key } {
  const from = textKey(prefix);
  return { from, to: prefixEnd(from) };
}
