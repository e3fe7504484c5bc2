import { z } from 'zod';
import { AspenError, type Coordinate, decodeForeignOrUndefined, encode } from '../base/index.ts';
import type { Role } from '../mesh/index.ts';
import { isCoordinate } from './coordinates.ts';

/** What a node tells everybody about itself. */
export interface NodeProfile {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** The program's version. */
  readonly version: string;
  readonly role: Role;
  /** Multiaddrs under which it may be reached. */
  readonly addresses: readonly string[];
  /** Job types it is willing to run. */
  readonly types: readonly string[];
  /** How many attempts may run there at once. */
  readonly slots: number;
  /** Its part in the group. */
  readonly groupRole: 'voter' | 'standby' | 'spare';
  /** What it runs on; absent where it cannot tell. */
  readonly power?: 'mains' | 'battery' | undefined;
  /** By its own wall clock; with the count of its starts, how stable it is. */
  readonly startedAtMs?: number | undefined;
  readonly startCount?: number | undefined;
  /** It takes no new jobs. */
  readonly isDraining?: boolean | undefined;
  /** Marks of the blobs that came to it last; others know by them where data lies. */
  readonly blobs?: readonly string[] | undefined;
  /** It carries circuits between members that do not reach each other. */
  readonly isRelay?: boolean | undefined;
  /** X25519, in base64: what secrets are sealed to for this node. */
  readonly sealingKey?: string | undefined;
  /** What its machine is: `os`, `arch`, `cpus`, `memoryGiB`, `hostname`; and how its workers do, as `worker.http`. */
  readonly machine?: Readonly<Record<string, string>> | undefined;
}

/** Limits as in the configuration, so that whatever an owner may set can be told. */
const profileSchema = z.object({
  name: z.string().max(64),
  labels: z
    .record(z.string().max(64), z.string().max(256))
    .refine((labels) => Object.keys(labels).length <= 64),
  version: z.string().max(64),
  role: z.enum(['voter', 'worker', 'submitter', 'observer']),
  addresses: z.array(z.string().max(256)).max(32),
  types: z.array(z.string().max(128)).max(64),
  slots: z.int().min(0).max(1_000_000),
  groupRole: z.enum(['voter', 'standby', 'spare']),
  power: z.enum(['mains', 'battery']).optional(),
  startedAtMs: z.int().min(0).optional(),
  startCount: z.int().min(0).optional(),
  isDraining: z.boolean().optional(),
  blobs: z.array(z.string().max(16)).max(64).optional(),
  isRelay: z.boolean().optional(),
  sealingKey: z.base64().length(44).optional(),
  machine: z
    .record(z.string().max(64), z.string().max(256))
    .refine((facts) => Object.keys(facts).length <= 64)
    .optional(),
});

/** @throws AspenError INVALID_PARAMS when it is not a profile that others would accept. */
export function encodeProfile(profile: NodeProfile): Uint8Array {
  return encode(checkedBy(profileSchema, profile, 'the node profile'));
}

/** @returns undefined when the bytes are no profile. */
export function decodeProfile(bytes: Uint8Array): NodeProfile | undefined {
  return profileSchema.safeParse(decodeForeignOrUndefined(bytes)).data;
}

/** A sign of life. */
export interface Heartbeat {
  /** When the next one is due. Unit: ms. */
  readonly periodMs: number;
  readonly coordinate: Coordinate;
}

export const LONGEST_PERIOD_MS = 120_000;

export function encodeHeartbeat({ periodMs, coordinate }: Heartbeat): Uint8Array {
  const { xMs, yMs, heightMs, error } = coordinate;
  return encode([
    Math.round(periodMs),
    ...[xMs, yMs, heightMs, error].map((part) => Number(part.toPrecision(4))),
  ]);
}

/** @returns undefined when the bytes are no heartbeat. */
export function decodeHeartbeat(bytes: Uint8Array): Heartbeat | undefined {
  const foreign = decodeForeignOrUndefined(bytes);
  if (!Array.isArray(foreign)) return undefined;
  const [periodMs, xMs, yMs, heightMs, error] = foreign as unknown[];
  const coordinate = { xMs, yMs, heightMs, error };
  if (typeof periodMs !== 'number' || !(periodMs > 0) || periodMs > LONGEST_PERIOD_MS) return undefined;
  return isCoordinate(coordinate) ? { periodMs, coordinate } : undefined;
}

/** How far an attempt is, by its own account. */
export interface Progress {
  /** 0 to 100; null where the job cannot tell. */
  readonly percent: number | null;
  /** At most 1,024 characters. */
  readonly message: string | null;
  /** At most 64, with names of at most 64 characters. */
  readonly counters: Readonly<Record<string, number>>;
}

export interface ProgressReport {
  /** The attempt's; a higher one is of a later attempt and wins. */
  readonly fencingToken: number;
  readonly progress: Progress;
}

const progressSchema = z.object({
  percent: z.number().min(0).max(100).nullable(),
  message: z.string().max(1_024).nullable(),
  counters: z
    .record(z.string().max(64), z.number())
    .refine((counters) => Object.keys(counters).length <= 64, 'at most 64 counters'),
});
const reportSchema = z.tuple([z.int().min(0), progressSchema]);

/** @throws AspenError INVALID_PARAMS when it is not progress that others would show. */
export function encodeProgress({ fencingToken, progress }: ProgressReport): Uint8Array {
  return encode(checkedBy(reportSchema, [fencingToken, progress], 'the progress'));
}

/** @returns undefined when the bytes are no report. */
export function decodeProgress(bytes: Uint8Array): ProgressReport | undefined {
  const report = reportSchema.safeParse(decodeForeignOrUndefined(bytes)).data;
  return report === undefined ? undefined : { fencingToken: report[0], progress: report[1] };
}

function checkedBy<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const issues = checked.error.issues.map(({ path, message }) => ({ path: path.join('.'), message }));
  throw new AspenError('INVALID_PARAMS', `${what} is not valid: ${issues[0]?.path}: ${issues[0]?.message}`, {
    details: { issues },
  });
}
