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
import { NOTE_EVERY_MS } from './hlc.ts';

const CLOCK_KEY = textKey('crdt/clock');
const NODE_PREFIX = 'crdt/node/';
const BULLETIN_PREFIX = 'crdt/bulletin/';

/**
 * What the registry keeps over a restart: each node's last profile (with its addresses), the bulletins, and now and then the time of the clock
 * that stamps. Writes are gathered until `flush`; what a node learns twice costs the disk once.
 */
export class RegistryStore {
  readonly #store: Store;
  readonly #log: Logger;
  #dirty = new Map<Key, Write>();
  #notedMs = Number.NEGATIVE_INFINITY;

  constructor(store: Store, log: Logger) {
    this.#store = store;
    this.#log = log;
  }

  /** @returns the time that an earlier run noted last, in ms; undefined when none did. */
  clockNoted(): number | undefined {
    const value = this.#read(CLOCK_KEY, this.#store.get(CLOCK_KEY));
    return Number.isSafeInteger(value) ? (value as number) : undefined;
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

  /** Remembers over a restart how late it is on the clock that stamps; writes only when the last note is old, or of a future that was left (H3). */
  noteClock(timeMs: number): void {
    if (Math.abs(timeMs - this.#notedMs) < NOTE_EVERY_MS) return;
    this.#notedMs = Math.ceil(timeMs);
    this.#put(CLOCK_KEY, encode(this.#notedMs));
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
