import { AspenError, decode, encode } from '../../base/index.ts';
import { type Key, numberKey, prefixEnd, textKey } from '../../storage/index.ts';
import type { Command } from './batch.ts';
import { type CommandOutcome, fromWireOutcome, refused, toWireOutcome, type WireOutcome } from './outcome.ts';
import { type TableStore, tablePrefix, type WriteHash } from './tables.ts';

/** How long a program's request id is remembered, in group time. */
export const REQUEST_ID_TTL_MS = 24 * 3_600_000;

/** Request ids remembered at once; the oldest make room. */
export const REQUEST_IDS_LIMIT = 100_000;

/** Ids dropped per new one: more than one, so that a backlog shrinks. */
const DROPPED_PER_RECORD = 4;

type Stored = readonly [module: string, kind: string, outcome: WireOutcome];

/** Outcomes by the request id that a program chose: the same id has its effect once, whichever node it is sent through. */
export class RequestIds {
  readonly #store: TableStore;
  readonly #hash: WriteHash;
  readonly #idsPrefix: Key;
  readonly #agePrefix: Key;
  readonly #limit: number;

  constructor(store: TableStore, space: Key, hash: WriteHash, limit = REQUEST_IDS_LIMIT) {
    this.#store = store;
    this.#hash = hash;
    this.#limit = limit;
    this.#idsPrefix = tablePrefix(space, '0', 'requests');
    this.#agePrefix = tablePrefix(space, '0', 'request-ages');
  }

  /** @returns the recorded outcome; a CONFLICT when the id was used for another kind of command; undefined when it is new. */
  find(requestId: string, { module, kind }: Pick<Command, 'module' | 'kind'>): CommandOutcome | undefined {
    const bytes = this.#store.get(this.#idsPrefix + textKey(requestId));
    if (bytes === undefined) return undefined;
    const [usedModule, usedKind, outcome] = decode(bytes) as Stored;
    if (usedModule === module && usedKind === kind) return fromWireOutcome(outcome);
    return refused(
      new AspenError(
        'CONFLICT',
        `request id "${requestId}" was used for ${usedModule}.${usedKind}, not ${module}.${kind}`,
      ),
    );
  }

  /** @param counted how many are remembered now. @returns how many are remembered afterwards. */
  record(
    requestId: string,
    outcome: CommandOutcome,
    at: {
      readonly module: string;
      readonly kind: string;
      readonly position: number;
      readonly groupMs: number;
    },
    counted: number,
  ): number {
    const stored: Stored = [at.module, at.kind, toWireOutcome(outcome)];
    this.#put(this.#idsPrefix + textKey(requestId), encode(stored));
    this.#put(this.#agePrefix + numberKey(at.groupMs) + numberKey(at.position), encode(requestId));
    return counted + 1 - this.#dropOld(at.groupMs, counted + 1);
  }

  #dropOld(groupMs: number, counted: number): number {
    const to =
      counted > this.#limit
        ? prefixEnd(this.#agePrefix)
        : this.#agePrefix + numberKey(Math.max(0, groupMs - REQUEST_ID_TTL_MS));
    const oldest = [...this.#store.range({ from: this.#agePrefix, to, limit: DROPPED_PER_RECORD })];
    for (const [key, bytes] of oldest) {
      this.#drop(key);
      this.#drop(this.#idsPrefix + textKey(decode(bytes) as string));
    }
    return oldest.length;
  }

  #put(key: Key, value: Uint8Array): void {
    this.#hash.add(key, value);
    this.#store.put(key, value);
  }

  #drop(key: Key): void {
    this.#hash.add(key, undefined);
    this.#store.delete(key);
  }
}
