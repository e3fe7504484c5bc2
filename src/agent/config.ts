import { AspenError } from '../base/index.ts';
import { nearestName } from '../rpc/index.ts';
import { type AgentConfig, defaultsOf, SETTINGS, type Setting, type SettingUnit } from './config-settings.ts';
import { refusalOf } from './setting-refusal.ts';

/**
 * Takes every setting from the first origin that has it: a flag, the environment, `aspen.yaml` in the data directory, a flag of an earlier start,
 * the default. Values are checked where they are taken, whatever their origin.
 */

export type { AgentConfig, AuditMode } from './config-settings.ts';

export type ConfigOrigin = 'flag' | 'environment' | 'file' | 'earlier flag' | 'default';

export interface ConfigSetting {
  /** As it is written in `aspen.yaml`, dotted. */
  readonly key: string;
  /** As it could be written there: sizes in bytes, durations in ms. */
  readonly value: unknown;
  /** What a number there counts, where it is not just a number. */
  readonly unit?: SettingUnit;
  readonly origin: ConfigOrigin;
}

export interface ResolvedConfig {
  readonly config: AgentConfig;
  readonly settings: readonly ConfigSetting[];
}

/** Settings of one origin, unchecked, by their names in {@link AgentConfig}, dotted; absent ones are left to the next origin. */
export type ConfigLayer = Readonly<Record<string, unknown>>;

export interface ConfigLayers {
  readonly flag: ConfigLayer;
  readonly environment: ConfigLayer;
  readonly file: ConfigLayer;
  /** Flags of an earlier start. */
  readonly remembered?: ConfigLayer;
}

interface NamedSetting extends Setting {
  /** In {@link AgentConfig}, dotted. */
  readonly name: string;
}

const ROWS: readonly NamedSetting[] = Object.entries(SETTINGS).flatMap(([name, setting]) =>
  isSetting(setting)
    ? [{ ...setting, name }]
    : Object.entries(setting).map(([inner, row]) => ({ ...row, name: `${name}.${inner}` })),
);
const PATHS = ROWS.map(({ path }) => path);

/** @throws AspenError INVALID_PARAMS naming the setting and where it came from. */
export function resolveConfig(
  layers: ConfigLayers,
  machine: { readonly cpuCount: number; readonly hostName: string },
): ResolvedConfig {
  const origins: readonly (readonly [ConfigOrigin, ConfigLayer])[] = [
    ['flag', layers.flag],
    ['environment', layers.environment],
    ['file', layers.file],
    ['earlier flag', layers.remembered ?? {}],
    ['default', flat(defaultsOf(machine))],
  ];
  const config: Record<string, unknown> = {};
  const settings = ROWS.map((row) => {
    const from = origins.find(([, layer]) => layer[row.name] !== undefined) as (typeof origins)[number];
    const value = checkSetting(row, from[1][row.name], from[0]);
    put(config, row.name.split('.'), value);
    return {
      key: row.path,
      value: row.shown === undefined ? value : row.shown(value),
      ...(row.unit !== undefined && { unit: row.unit }),
      origin: from[0],
    };
  });
  return { config: Object.freeze(config) as unknown as AgentConfig, settings };
}

/**
 * @param document the parsed file. @param path of the file, for people. @returns its settings by name.
 * @throws AspenError INVALID_PARAMS naming what is not known, and what was probably meant.
 */
export function fileLayer(document: unknown, path = 'aspen.yaml'): ConfigLayer {
  if (document === null || document === undefined) return {};
  if (!isMap(document)) throw refused(path, 'must be a map of settings');
  const layer: Record<string, unknown> = {};
  collect(document, { prefix: '', path, layer });
  return layer;
}

/** @param environment e.g. `process.env`: `ASPEN_NAME`, `ASPEN_LABELS=zone=eu,disk=ssd`, `ASPEN_SHELL_COMMANDS=git,make`, ... */
export function environmentLayer(environment: Readonly<Record<string, string | undefined>>): ConfigLayer {
  const given = ROWS.flatMap(({ path, name, fromText }) => {
    const variable = variableOf(path);
    const text = environment[variable];
    return text === undefined ? [] : [[name, read(variable, () => fromText(text))]];
  });
  return Object.fromEntries(given);
}

function read(variable: string, parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    throw error instanceof AspenError ? refused(variable, error.message) : error;
  }
}

/** @param path e.g. `shell.commands`. @returns `ASPEN_SHELL_COMMANDS`. */
function variableOf(path: string): string {
  return `ASPEN_${path.replaceAll('.', '_').replaceAll(/[A-Z]/g, '_$&').toUpperCase()}`;
}

interface Collecting {
  /** Dotted, of what holds it, with a dot behind; empty for the file as a whole. */
  readonly prefix: string;
  readonly path: string;
  readonly layer: Record<string, unknown>;
}

function collect(map: Readonly<Record<string, unknown>>, { prefix, path, layer }: Collecting): void {
  for (const [key, value] of Object.entries(map)) {
    const at = `${prefix}${key}`;
    const row = ROWS.find((candidate) => candidate.path === at);
    if (row !== undefined) {
      if (value === null)
        throw refused(path, `${at}: nothing is written there; give it a value, or leave it out`);
      layer[row.name] = value;
      continue;
    }
    if (!PATHS.some((known) => known.startsWith(`${at}.`))) throw unknownKey(path, at);
    if (!isMap(value)) throw refused(path, `${at}: must be a map of settings`);
    collect(value, { prefix: `${at}.`, path, layer });
  }
}

function unknownKey(path: string, at: string): AspenError {
  const nearest = nearestName(at, PATHS);
  const hint = nearest === undefined ? `known are ${PATHS.join(', ')}` : `did you mean ${nearest}?`;
  return refused(path, `unknown key ${at}; ${hint}`);
}

function refused(path: string, message: string): AspenError {
  return new AspenError('INVALID_PARAMS', `${path}: ${message}`, {
    details: { issues: [{ path, message }] },
  });
}

function checkSetting({ path, schema, unit }: Setting, value: unknown, origin: ConfigOrigin): unknown {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const why = refusalOf(checked.error.issues, unit);
  throw new AspenError('INVALID_PARAMS', `setting ${path} from the ${origin}: ${why}`, {
    details: { issues: [{ path, message: why }] },
  });
}

function flat(config: AgentConfig): ConfigLayer {
  return Object.fromEntries(ROWS.map(({ name }) => [name, get(config, name.split('.'))]));
}

function get(value: unknown, path: readonly string[]): unknown {
  return path.reduce((inner, key) => (inner as Readonly<Record<string, unknown>>)[key], value);
}

function put(target: Record<string, unknown>, [first, ...rest]: readonly string[], value: unknown): void {
  const key = first as string;
  if (rest.length === 0) {
    target[key] = value;
    return;
  }
  target[key] ??= {};
  put(target[key] as Record<string, unknown>, rest, value);
}

function isSetting(value: object): value is Setting {
  return 'schema' in value;
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
