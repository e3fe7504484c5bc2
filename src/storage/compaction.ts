import { z } from 'zod';

/** How much of the file of a store is in use. Unit: bytes. */
export interface StoreSpace {
  readonly fileBytes: number;
  readonly usedBytes: number;
  /** Pages that nothing uses: written to again before the file grows, given back to the disk only by a compaction. */
  readonly freeBytes: number;
}

/** How a compaction ended. */
export interface Compacted {
  readonly atMs: number;
  readonly beforeBytes: number;
  readonly afterBytes: number;
  readonly durationMs: number;
  /** Why nothing changed, in words for people; null where it did. */
  readonly fault: string | null;
}

/** Compacts the store of a node, at its next start. */
export interface Compactor {
  /** @returns undefined where there is no store yet. */
  space(): StoreSpace | undefined;
  last(): Promise<Compacted | null>;
  /** Durable when it resolves. */
  ask(): Promise<void>;
}

/** What is remembered of compactions, beside the store. */
export interface CompactionNote {
  /** The next start is to compact. */
  readonly isAsked: boolean;
  /** Starts that began to and did not come to an end. */
  readonly tries: number;
  readonly last: Compacted | null;
}

/** A compaction that gives back less than this is not worth reading and writing all of the store. */
export const WORTH_BYTES = 4 * 2 ** 20;
export const WORTH_PART = 0.1;
/** Starts that may fail over one compaction before it is given up, so that it never keeps an agent from starting. */
export const TRIES_LIMIT = 3;

export const NOTHING_NOTED: CompactionNote = { isAsked: false, tries: 0, last: null };

const noteSchema = z.object({
  version: z.literal(1),
  isAsked: z.boolean(),
  tries: z.int().min(0),
  last: z
    .object({
      ...{ atMs: z.number(), beforeBytes: z.number(), afterBytes: z.number(), durationMs: z.number() },
      fault: z.string().nullable(),
    })
    .nullable(),
});

/** @returns whether so much is free that a compaction is worth its work. */
export function isWorthCompacting({ fileBytes, freeBytes }: StoreSpace): boolean {
  return freeBytes >= WORTH_BYTES && freeBytes >= fileBytes * WORTH_PART;
}

/** @throws Error where the bytes are no note. */
export function readCompactionNote(bytes: Uint8Array): CompactionNote {
  const { isAsked, tries, last } = noteSchema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
  return { isAsked, tries, last };
}

export function encodeCompactionNote(note: CompactionNote): Uint8Array {
  return new Uint8Array(Buffer.from(JSON.stringify({ version: 1, ...note })));
}
