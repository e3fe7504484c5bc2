import { readFile } from 'node:fs/promises';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import { AspenError } from '../base/index.ts';
import {
  type ConfigLayer,
  type ConfigSetting,
  environmentLayer,
  fileLayer,
  type ResolvedConfig,
  resolveConfig,
} from './config.ts';
import { parseRemembered, REMEMBERED_FILE } from './remembered-flags.ts';

export const CONFIG_FILE = 'aspen.yaml';

/** Reads the settings of this machine's agent. @throws AspenError INVALID_PARAMS naming the setting and its origin. */
export async function loadConfig(dataDir: string, flags: ConfigLayer): Promise<ResolvedConfig> {
  return resolveConfig(
    {
      flag: flags,
      environment: environmentLayer(process.env),
      file: fileLayer(await readConfigFile(dataDir), join(dataDir, CONFIG_FILE)),
      remembered: await readRemembered(dataDir),
    },
    { cpuCount: availableParallelism(), hostName: hostname() },
  );
}

/** What an agent would start with now, without flags. @throws AspenError INVALID_PARAMS naming the setting and its origin. */
export async function readSettings(dataDir: string): Promise<{ config: ConfigSetting[] }> {
  const { settings } = await loadConfig(dataDir, {});
  return { config: settings.map((setting) => ({ ...setting })) };
}

/** The flags of earlier starts. */
export async function readRemembered(dataDir: string): Promise<ConfigLayer> {
  return parseRemembered(await readIfThere(join(dataDir, REMEMBERED_FILE)));
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw new AspenError('DENIED', `cannot read ${path}`, { cause: error });
  }
}

async function readConfigFile(dataDir: string): Promise<unknown> {
  const path = join(dataDir, CONFIG_FILE);
  const bytes = await readIfThere(path);
  if (bytes === undefined) return undefined;
  const { parse } = await import('yaml'); // most agents have no such file, and keep the memory
  try {
    return parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new AspenError('INVALID_PARAMS', `${path} is not YAML: ${(cause as Error).message}`, { cause });
  }
}
