import { z } from 'zod';
import { CHAIN_START } from './chain.ts';

const endSchema = z.object({
  seq: z.int().min(0),
  hash: z.string().regex(/^[0-9a-f]{64}$/),
});

const headSchema = z.object({
  /** The last line that is known to be on disk. */
  last: endSchema,
  /** What the first line that is kept follows on: not the start once old files were removed. */
  base: endSchema,
  /** The file with the last line, and its length with it. */
  file: z.string().max(64),
  bytes: z.int().min(0),
});

/** What is noted beside the lines after each write: by it lines that are missing at either end are missed. */
export type Head = z.infer<typeof headSchema>;

export const EMPTY_HEAD: Head = { last: CHAIN_START, base: CHAIN_START, file: '', bytes: 0 };

/** @returns undefined for what is no head. */
export function parseHead(text: string | undefined): Head | undefined {
  if (text === undefined) return undefined;
  try {
    const head = headSchema.safeParse(JSON.parse(text));
    return head.success ? head.data : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}
