import { z } from 'zod';
import { invalid, parseWith } from '../lease/machine/index.ts';
import type { AssignItem } from './assign.ts';
import type { GroupPlace } from './group-attempts.ts';
import { SINCE } from './machine-versions.ts';
import { isPlainAssign, isPlainPackedAssign, quickly } from './quick-checks.ts';
import { GROUP_NODES_LIMIT } from './spec-fields.ts';

/** What an assign command says. */
export interface AssignBody {
  readonly assignments: readonly AssignItem[];
  /** It came as {@link PackedAssign}. */
  readonly isPacked?: true;
}

/** The same as it stands in the log: many jobs go to few places, whose names are long. */
export interface PackedAssign {
  readonly places: readonly PackedPlace[];
  /** Each with its place; a group with those of all its members. */
  readonly jobs: readonly (readonly [jobId: string, place: number, ...others: number[]])[];
}

export type PackedPlace = readonly [peerId: string, sessionId: string, pool: string | null];

const ITEMS_LIMIT = 10_000;
const place = {
  peerId: z.string(),
  sessionId: z.string(),
  pool: z.string().max(64).nullable().default(null),
};
const assignItem = z.object({
  jobId: z.string(),
  ...place,
  others: z.array(z.object(place)).max(GROUP_NODES_LIMIT).optional(),
});
const parseNamed = quickly<AssignBody>(
  isPlainAssign,
  parseWith(z.object({ assignments: z.array(assignItem).max(ITEMS_LIMIT) })),
);
const at = z.int().min(0);
const parsePacked = quickly<PackedAssign>(
  isPlainPackedAssign,
  parseWith(
    z.object({
      places: z.array(z.tuple([z.string(), z.string(), place.pool])).max(ITEMS_LIMIT),
      jobs: z
        .array(z.tuple([z.string(), at], at).refine(({ length }) => length <= GROUP_NODES_LIMIT + 2))
        .max(ITEMS_LIMIT),
    }),
  ),
);

/** @returns the body for a group that goes by `version`. */
export function assignBody(assignments: readonly AssignItem[], version: number): AssignBody | PackedAssign {
  return version < SINCE.packedAssign ? { assignments } : packed(assignments);
}

/** @throws AspenError INVALID_PARAMS */
export function parseAssign(body: unknown): AssignBody {
  const isPacked = typeof body === 'object' && body !== null && 'places' in body;
  return isPacked ? unpacked(parsePacked(body)) : parseNamed(body);
}

export function versionOfAssign({ isPacked }: AssignBody): number {
  return isPacked === true ? SINCE.packedAssign : 1;
}

function packed(assignments: readonly AssignItem[]): PackedAssign {
  const places: PackedPlace[] = [];
  const placeOf = ({ peerId, sessionId, pool }: GroupPlace): number => {
    const known = places.findIndex((one) => one[0] === peerId && one[2] === pool && one[1] === sessionId);
    return known === -1 ? places.push([peerId, sessionId, pool]) - 1 : known;
  };
  const jobs = assignments.map((item): PackedAssign['jobs'][number] =>
    item.others === undefined
      ? [item.jobId, placeOf(item)]
      : [item.jobId, placeOf(item), ...item.others.map(placeOf)],
  );
  return { places, jobs };
}

function unpacked({ places, jobs }: PackedAssign): AssignBody {
  const placeAt = (index: number): GroupPlace => {
    const found = places[index];
    if (found === undefined) throw invalid('jobs', `there is no place ${index}`);
    return { peerId: found[0], sessionId: found[1], pool: found[2] };
  };
  const assignments = jobs.map((job): AssignItem => {
    const { peerId, sessionId, pool } = placeAt(job[1]);
    const alone = { jobId: job[0], peerId, sessionId, pool };
    if (job.length === 2) return alone;
    const [, , ...others] = job;
    return { ...alone, others: others.map(placeAt) };
  });
  return { assignments, isPacked: true };
}
