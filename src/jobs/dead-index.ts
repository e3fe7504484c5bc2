import { placeKey } from './job-places.ts';
import { type Key, numberKey, textKey } from './machine-port.ts';
import type { JobRecord } from './record.ts';

/** Bytes at the end of a key in `dead`: when the job died, then its place. */
export const DEAD_SUFFIX_BYTES = 24;

/** By what dead jobs can be found. */
export type DeadIndex = 'all' | 'queue' | 'type' | 'reason';

/** @returns the prefix of dead jobs, in order of their death. */
export function deadPrefix(index: DeadIndex, name: string): Key {
  return `${index}/${nameKey(name)}`;
}

/** @returns what orders dead jobs, and names a place among them. */
export function deadPlace(record: JobRecord): Key {
  return numberKey(Math.max(0, Math.floor(record.finishedAt ?? 0))) + placeKey(record);
}

/** @returns the entries of a dead job. */
export function deadKeys(record: JobRecord): Key[] {
  const { spec, error } = record;
  const rows: readonly (readonly [index: DeadIndex, name: string])[] = [
    ['all', ''],
    ['queue', spec.queue],
    ['type', spec.type],
    ['reason', error?.code ?? ''],
  ];
  const place = deadPlace(record);
  return rows.map(([index, name]) => deadPrefix(index, name) + place);
}

/** No name's key begins with another's. */
export function nameKey(name: string): Key {
  const key = textKey(name);
  return String.fromCharCode(key.length >> 8, key.length & 255) + key;
}
