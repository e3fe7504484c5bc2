import { readFile } from 'node:fs/promises';
import { availableParallelism, hostname } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { AspenError } from '../base/index.ts';
import {
  type ConfigLayer,
  environmentLayer,
  fileLayer,
  type ResolvedConfig,
  resolveConfig,
} from './config.ts';

export const CONFIG_FILE = 'aspen.yaml';

/** Reads the settings of this machine's agent. @throws AspenError INVALID_PARAMS naming the setting and its origin. */
export async function loadConfig(dataDir: string, flags: ConfigLayer): Promise<ResolvedConfig> {
  return resolveConfig(
    {
      flag: flags,
      environment: environmentLayer(process.env),
      file: fileLayer(await readConfigFile(dataDir)),
    },
    { cpuCount: availableParallelism(), hostName: hostname() },
  );
}

async function readConfigFile(dataDir: string): Promise<unknown> {
  const path = join(dataDir, CONFIG_FILE);
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new AspenError('DENIED', `cannot read ${path}`, { cause: error });
  }
  try {
    return parse(text);
  } catch (cause) {
    throw new AspenError('INVALID_PARAMS', `${path} is not YAML: ${(cause as Error).message}`, { cause });
  }
}
