import { z } from 'zod';
import type { ConfigLayer } from './config.ts';

export const REMEMBERED_FILE = 'flags.json';

/** Flags that say what this node is, rather than how it runs this time. */
const REMEMBERED_KEYS = ['name', 'labels', 'listen', 'isMdnsEnabled'] as const;

const rememberedSchema = z.object({
  name: z.unknown(),
  labels: z.unknown(),
  listen: z.unknown(),
  isMdnsEnabled: z.unknown(),
});

/**
 * What a node was told by flags at an earlier start, so that one that is started again without them is what it was. A setting given by
 * any other way wins, and a flag given anew replaces what was remembered.
 * @param bytes the file; what is no such file is as if it were not there, since every setting of it can be given again.
 */
export function parseRemembered(bytes: Uint8Array | undefined): ConfigLayer {
  if (bytes === undefined) return {};
  try {
    const parsed = rememberedSchema.partial().safeParse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    return parsed.success ? parsed.data : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}

/** @returns the file to write after a start with these flags; undefined when it would be the same. */
export function remember(before: ConfigLayer, flags: ConfigLayer): Uint8Array | undefined {
  const given = REMEMBERED_KEYS.filter((key) => flags[key] !== undefined);
  if (given.length === 0) return undefined;
  const now = { ...before, ...Object.fromEntries(given.map((key) => [key, flags[key]])) };
  return Buffer.from(`${JSON.stringify(now)}\n`);
}
