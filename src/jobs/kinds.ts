import { nameKey } from './dead-index.ts';
import type { Owner } from './job-places.ts';
import { type Key, numberKey } from './machine-port.ts';
import { isFinal, type JobRecord, type JobState } from './record.ts';
import { SPEC_BASE } from './spec.ts';

/** Retentions that end within one such time share a row. Unit: ms. */
export const EXPIRY_BEAT_MS = 64;

/** @returns the kind of all jobs of a type. */
export function typeKind(type: string): Key {
  return `t${nameKey(type)}`;
}

/** @returns the kind of all jobs with a label: with that value, or with any where none is given. */
export function labelKind(label: string, value?: string): Key {
  return value === undefined ? `k${nameKey(label)}` : `l${nameKey(label)}${nameKey(value)}`;
}

/** @returns the kind of all jobs that ended in `state`. */
export function endedKind(state: JobState): Key {
  return `s${nameKey(state)}`;
}

/** @returns the kind of the final jobs of one queue or namespace that is not the default one: of the dead ones, or of the others. */
export function ownerKind(of: Owner, name: string, isDead: boolean): Key {
  return `${of === 'queue' ? 'q' : 'n'}${isDead ? 'd' : 'f'}${nameKey(name)}`;
}

/** @returns kinds that a job has from its submission until it is removed. No kind's key begins with another's. */
export function lastingKinds({ spec }: Pick<JobRecord, 'spec'>): Key[] {
  const kinds = [typeKind(spec.type)];
  if (spec.labels === SPEC_BASE.labels) return kinds;
  for (const [label, value] of Object.entries(spec.labels))
    kinds.push(labelKind(label), labelKind(label, value));
  return kinds;
}

/** @returns kinds that a job has while it is final. */
export function finalKinds({ spec, state }: Pick<JobRecord, 'spec' | 'state'>): Key[] {
  if (!isFinal(state)) return [];
  const kinds = [endedKind(state)];
  const isDead = state === 'dead';
  if (spec.queue !== SPEC_BASE.queue) kinds.push(ownerKind('queue', spec.queue, isDead));
  if (spec.namespace !== SPEC_BASE.namespace) kinds.push(ownerKind('namespace', spec.namespace, isDead));
  return kinds;
}

/** @returns when the retention of a final job ends, as the index of that knows it: the beat. Unit: ms of group time. */
export function expiryBeat({ expiresGroupMs }: Pick<JobRecord, 'expiresGroupMs'>): number {
  return Math.floor((expiresGroupMs ?? 0) / EXPIRY_BEAT_MS) * EXPIRY_BEAT_MS;
}

/** @returns the kind of the final jobs whose retention ends in a beat, in a table of its own: in the order of time. */
export function expiryKind(record: Pick<JobRecord, 'expiresGroupMs'>): Key {
  return numberKey(expiryBeat(record));
}
