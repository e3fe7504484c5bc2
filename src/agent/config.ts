import { z } from 'zod';
import { AspenError, parseDurationMs } from '../base/index.ts';
import { ALLOWED_NETWORKS_LIMIT, parseNetwork } from '../workers/index.ts';
import { BUILT_IN_TYPES } from './built-ins.ts';

/**
 * What the owner of a machine decides about its agent. Every setting may come from a flag, the environment, `aspen.yaml` in the
 * data directory, a flag of an earlier start, or the default, in that order.
 */
export interface AgentConfig {
  /** Shown to people; the peer id is the name that counts. */
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Multiaddrs to listen on. */
  readonly listen: readonly string[];
  /** Multiaddrs told to others in place of those of the interfaces, e.g. behind a port that a router forwards; none for the latter. */
  readonly announce: readonly string[];
  /** Whether this node carries circuits between members that do not reach each other: `auto` where it is reached from anywhere. */
  readonly relay: 'auto' | 'on' | 'off';
  readonly isMdnsEnabled: boolean;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  /** Job types this machine is willing to run. */
  readonly jobTypes: readonly string[];
  /** How many attempts may run here at once. */
  readonly slots: number;
  /** How many voters the group should have once the mesh has as many eligible nodes: 1, 3, 5 or 7. */
  readonly voters: 1 | 3 | 5 | 7;
  /** A voter that is away this long gives its place to a standby. Counts where this node leads. Unit: ms. */
  readonly voterGraceMs: number;
  /** Most bytes of blobs on this machine. */
  readonly blobQuotaBytes: number;
  /** How long the whole output of a job is kept here; its record, with head and tail, stays as long as it says itself. Unit: ms. */
  readonly outputRetentionMs: number;
  /** Networks that jobs may reach over HTTP although they are not public, such as `10.1.0.0/16`; `private` for all of them. */
  readonly httpAllow: readonly string[];
  /** What goes into the audit log beside administrative acts. */
  readonly audit: AuditMode;
}

/** Nothing at all; what this node runs itself and that touches the machine; or also `echo` jobs. Attached workers keep logs of their own. */
export type AuditMode = 'off' | 'commands' | 'all';

export type ConfigOrigin = 'flag' | 'environment' | 'file' | 'earlier flag' | 'default';

export interface ConfigSetting {
  readonly key: keyof AgentConfig;
  readonly value: AgentConfig[keyof AgentConfig];
  readonly origin: ConfigOrigin;
}

export interface ResolvedConfig {
  readonly config: AgentConfig;
  readonly settings: readonly ConfigSetting[];
}

const LABEL_KEY = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;
const labelsSchema = z
  .record(
    z.string().regex(LABEL_KEY, 'a label key is 1 to 63 letters, digits or . _ / -'),
    z.string().max(256),
  )
  .refine((labels) => Object.keys(labels).length <= 64, 'at most 64 labels');

/** Below the least a blink would cost a vote. Unit: ms. */
const VOTER_GRACE_MS = { least: 1_000, most: 7 * 24 * 3_600_000, usual: 30_000 };

/** Unit: ms. */
const OUTPUT_RETENTION_MS = { most: 366 * 24 * 3_600_000, usual: 7 * 24 * 3_600_000 };

/** `30s`, or a number of ms. */
const durationSchema = z.union([z.string(), z.number()]).transform((value, context): number => {
  if (typeof value === 'number') return value;
  try {
    return parseDurationMs(value);
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
    return z.NEVER;
  }
});
const graceSchema = durationSchema.pipe(z.number().min(VOTER_GRACE_MS.least).max(VOTER_GRACE_MS.most));
const outputRetentionSchema = durationSchema.pipe(z.int().min(0).max(OUTPUT_RETENTION_MS.most));

const SIZE = /^(\d{1,15})\s?(B|KiB|MiB|GiB|TiB)?$/;
const SIZE_UNITS: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** `10GiB`, or a number of bytes. */
const sizeSchema = z
  .union([z.string().regex(SIZE, 'write a size, for example 10GiB or 500MiB'), z.number()])
  .transform((value): number => {
    if (typeof value === 'number') return value;
    const [, digits = '', unit = 'B'] = SIZE.exec(value) ?? [];
    return Number(digits) * (SIZE_UNITS[unit] as number);
  })
  .pipe(z.int().min(0).max(Number.MAX_SAFE_INTEGER));

const networkSchema = z.string().superRefine((text, context) => {
  if (text === 'private') return;
  try {
    parseNetwork(text);
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
});

/** Each setting's shape, wherever it came from. */
const settingSchemas = {
  name: z.string().min(1).max(64),
  labels: labelsSchema,
  listen: z.array(z.string().startsWith('/', 'write a multiaddr, for example /ip4/0.0.0.0/tcp/4100')).max(16),
  announce: z
    .array(z.string().startsWith('/', 'write a multiaddr, for example /ip4/203.0.113.7/tcp/4100').max(256))
    .max(16),
  relay: z.enum(['auto', 'on', 'off']),
  isMdnsEnabled: z.boolean(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
  jobTypes: z.array(z.string().min(1).max(128)).max(64),
  slots: z.int().min(0).max(10_000),
  voters: z.union([z.literal(1), z.literal(3), z.literal(5), z.literal(7)]),
  voterGraceMs: graceSchema,
  blobQuotaBytes: sizeSchema,
  outputRetentionMs: outputRetentionSchema,
  httpAllow: z.array(networkSchema).max(ALLOWED_NETWORKS_LIMIT),
  audit: z.enum(['off', 'commands', 'all']),
} satisfies { readonly [K in keyof AgentConfig]: z.ZodType<AgentConfig[K]> };

export const CONFIG_KEYS = Object.keys(settingSchemas) as (keyof AgentConfig)[];

/** Settings of one origin, unchecked; absent keys are left to the next origin. */
export type ConfigLayer = { readonly [K in keyof AgentConfig]?: unknown };

/** The keys of `aspen.yaml`, and the environment variable of each (`ASPEN_` and the key in capitals). */
export const FILE_KEYS: Readonly<Record<string, keyof AgentConfig>> = {
  name: 'name',
  labels: 'labels',
  listen: 'listen',
  announce: 'announce',
  relay: 'relay',
  mdns: 'isMdnsEnabled',
  logLevel: 'logLevel',
  jobTypes: 'jobTypes',
  slots: 'slots',
  voters: 'voters',
  voterGrace: 'voterGraceMs',
  blobQuota: 'blobQuotaBytes',
  outputRetention: 'outputRetentionMs',
  httpAllow: 'httpAllow',
  audit: 'audit',
};

export interface ConfigLayers {
  readonly flag: ConfigLayer;
  readonly environment: ConfigLayer;
  readonly file: ConfigLayer;
  /** Flags of an earlier start. */
  readonly remembered?: ConfigLayer;
}

/**
 * Takes each setting from the first origin that has it.
 * @throws AspenError INVALID_PARAMS naming the setting and where it came from.
 */
export function resolveConfig(
  layers: ConfigLayers,
  machine: { readonly cpuCount: number; readonly hostName: string },
): ResolvedConfig {
  const defaults: AgentConfig = {
    name: machine.hostName,
    labels: {},
    listen: ['/ip4/0.0.0.0/tcp/0', '/ip6/::/tcp/0'],
    announce: [],
    relay: 'auto',
    isMdnsEnabled: true,
    logLevel: 'info',
    jobTypes: [...BUILT_IN_TYPES],
    slots: Math.max(16, machine.cpuCount * 4),
    voters: 3,
    voterGraceMs: VOTER_GRACE_MS.usual,
    blobQuotaBytes: 10 * 2 ** 30,
    outputRetentionMs: OUTPUT_RETENTION_MS.usual,
    httpAllow: [],
    audit: 'commands',
  };
  const origins: readonly (readonly [ConfigOrigin, ConfigLayer])[] = [
    ['flag', layers.flag],
    ['environment', layers.environment],
    ['file', layers.file],
    ['earlier flag', layers.remembered ?? {}],
    ['default', defaults],
  ];
  const settings = CONFIG_KEYS.map((key) => {
    const [origin, layer] = origins.find(
      ([, candidate]) => candidate[key] !== undefined,
    ) as (typeof origins)[number];
    return { key, value: checkSetting(key, layer[key], origin), origin };
  });
  const config = Object.freeze(
    Object.fromEntries(settings.map(({ key, value }) => [key, value])),
  ) as unknown as AgentConfig;
  return { config, settings };
}

function checkSetting(
  key: keyof AgentConfig,
  value: unknown,
  origin: ConfigOrigin,
): AgentConfig[keyof AgentConfig] {
  const checked = settingSchemas[key].safeParse(value);
  if (checked.success) return checked.data;
  const why = checked.error.issues
    .map((issue) => [...issue.path.map(String), issue.message].join(': '))
    .join('; ');
  throw new AspenError('INVALID_PARAMS', `setting ${key} from the ${origin}: ${why}`, {
    details: { issues: [{ path: key, message: why }] },
  });
}

/**
 * @param document the parsed `aspen.yaml`. @returns its settings under their own names.
 * @throws AspenError INVALID_PARAMS naming an unknown key.
 */
export function fileLayer(document: unknown): ConfigLayer {
  if (document === null || document === undefined) return {};
  if (typeof document !== 'object' || Array.isArray(document)) {
    throw new AspenError('INVALID_PARAMS', 'aspen.yaml must be a map of settings');
  }
  const layer: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(document)) {
    const setting = FILE_KEYS[key];
    if (setting === undefined) {
      throw new AspenError(
        'INVALID_PARAMS',
        `aspen.yaml: unknown key "${key}"; known are ${Object.keys(FILE_KEYS).join(', ')}`,
      );
    }
    layer[setting] = value;
  }
  return layer;
}

/** @param environment e.g. `process.env`: `ASPEN_NAME`, `ASPEN_LABELS=zone=eu,disk=ssd`, `ASPEN_LISTEN`, `ASPEN_MDNS`, `ASPEN_LOG_LEVEL`, ... */
export function environmentLayer(environment: Readonly<Record<string, string | undefined>>): ConfigLayer {
  const list = (name: string) => environment[name]?.split(',').filter((item) => item !== '');
  const count = (name: string) => (environment[name] === undefined ? undefined : Number(environment[name]));
  return {
    name: environment['ASPEN_NAME'],
    labels: list('ASPEN_LABELS') && Object.fromEntries(list('ASPEN_LABELS')?.map(splitLabel) ?? []),
    listen: list('ASPEN_LISTEN'),
    announce: list('ASPEN_ANNOUNCE'),
    relay: environment['ASPEN_RELAY'],
    isMdnsEnabled:
      environment['ASPEN_MDNS'] === undefined
        ? undefined
        : !['0', 'false', 'off', 'no'].includes(environment['ASPEN_MDNS']),
    logLevel: environment['ASPEN_LOG_LEVEL'],
    jobTypes: list('ASPEN_JOB_TYPES'),
    slots: count('ASPEN_SLOTS'),
    voters: count('ASPEN_VOTERS'),
    voterGraceMs: environment['ASPEN_VOTER_GRACE'],
    blobQuotaBytes: environment['ASPEN_BLOB_QUOTA'],
    outputRetentionMs: environment['ASPEN_OUTPUT_RETENTION'],
    httpAllow: list('ASPEN_HTTP_ALLOW'),
    audit: environment['ASPEN_AUDIT'],
  };
}

/** @param text `key=value`. @throws AspenError INVALID_PARAMS naming the text. */
export function splitLabel(text: string): readonly [string, string] {
  const at = text.indexOf('=');
  if (at <= 0) throw new AspenError('INVALID_PARAMS', `"${text}" is not a label; write key=value`);
  return [text.slice(0, at), text.slice(at + 1)];
}
