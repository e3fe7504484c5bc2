import { placeKey } from './live-index.ts';
import { type Key, numberKey, textKey } from './machine-port.ts';
import { isFinal, type JobRecord } from './record.ts';
import { SPEC_BASE } from './spec.ts';

/** Bytes at the end of a key in `dead`: when the job died, then its place. */
export const DEAD_SUFFIX_BYTES = 24;

/** By what dead jobs can be found. */
export type DeadIndex = 'all' | 'queue' | 'type' | 'reason';

export interface EndedIndexKey {
  readonly table: 'dead' | 'endedOf';
  readonly key: Key;
}

const NONE: readonly EndedIndexKey[] = [];

/**
 * Entries of a final record beside those that every final record has: by queue and by namespace where those are not the default ones,
 * and of a dead one by queue, type and reason. A plain job that succeeds has none, so that it pays nothing.
 */
export function endedKeysOf(record: JobRecord): readonly EndedIndexKey[] {
  const { state, spec } = record;
  const isPlain = spec.queue === SPEC_BASE.queue && spec.namespace === SPEC_BASE.namespace;
  if (!isFinal(state) || (isPlain && state !== 'dead')) return NONE;
  const keys: EndedIndexKey[] = [];
  const isDead = state === 'dead';
  const add = (of: EndedOf, name: string) =>
    keys.push({ table: 'endedOf', key: endedOfPrefix(of, name, isDead) + placeKey(record) });
  if (spec.queue !== SPEC_BASE.queue) add('queue', spec.queue);
  if (spec.namespace !== SPEC_BASE.namespace) add('namespace', spec.namespace);
  return isDead ? [...keys, ...deadKeys(record)] : keys;
}

export type EndedOf = 'queue' | 'namespace';

/** @returns the prefix of the final jobs of one queue or namespace that is not the default one, in order of submission. */
export function endedOfPrefix(of: EndedOf, name: string, isDead: boolean): Key {
  return `${of}/${nameKey(name)}${isDead ? 'd' : 'f'}`;
}

/** @returns the prefix of dead jobs, in order of their death. */
export function deadPrefix(index: DeadIndex, name: string): Key {
  return `${index}/${nameKey(name)}`;
}

/** @returns what orders dead jobs, and names a place among them. */
export function deadPlace(record: JobRecord): Key {
  return numberKey(Math.max(0, Math.floor(record.finishedAt ?? 0))) + placeKey(record);
}

function deadKeys(record: JobRecord): EndedIndexKey[] {
  const { spec, error } = record;
  const rows: readonly (readonly [index: DeadIndex, name: string])[] = [
    ['all', ''],
    ['queue', spec.queue],
    ['type', spec.type],
    ['reason', error?.code ?? ''],
  ];
  const place = deadPlace(record);
  return rows.map(([index, name]) => ({ table: 'dead', key: deadPrefix(index, name) + place }));
}

/** No name's key begins with another's. */
export function nameKey(name: string): Key {
  const key = textKey(name);
  return String.fromCharCode(key.length >> 8, key.length & 255) + key;
}
