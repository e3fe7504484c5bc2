import { z } from 'zod';
import { AspenError, decodeForeignOrUndefined, encode } from '../base/index.ts';
import {
  type Comparison,
  type Digest,
  type Item,
  roughBytes,
  WANTS_LIMIT,
  type Want,
} from './anti-entropy.ts';
import { KEY_LENGTH_LIMIT, OWNER_LENGTH_LIMIT } from './entry.ts';
import { BUCKETS_LIMIT, type Buckets, isBucketCount, type Part, type Summary } from './summary.ts';

/** What replicas say to each other. Versions inside are checked one by one by the space that they belong to. */
export const METHODS = {
  /** With the hashes of all owners. Agents before summaries know no other way. */
  compare: 'registry/compare',
  summarize: 'registry/summarize',
  compareParts: 'registry/compare-parts',
  exchange: 'registry/exchange',
} as const;
export const TOPIC = 'registry';

const SPACES_LIMIT = 8;
const OWNERS_LIMIT = 20_000;
const DIFFERENCES_LIMIT = 8_192;
const STAMPS_PER_OWNER_LIMIT = 16_384;
/** A gossip message stays well below what the transport takes. Unit: bytes. */
const GOSSIP_PAGE_BYTES = 32 * 2 ** 10;
const GOSSIP_ITEMS_LIMIT = 512;
const GOSSIP_FORMAT = 1;
const SUMMARY_FORMAT = 1;

const spaceName = z.string().max(32);
const owner = z.string().min(1).max(OWNER_LENGTH_LIMIT);
const key = z.string().min(1).max(KEY_LENGTH_LIMIT);
const count = z.number().min(0).max(Number.MAX_SAFE_INTEGER);
const item = z.tuple([spaceName, z.unknown()]);
const want = z.tuple([spaceName, owner, key]);
const hashes = z.array(z.tuple([owner, count])).max(OWNERS_LIMIT);

const digestSchema = z.array(z.tuple([spaceName, hashes])).max(SPACES_LIMIT);

const bucketCount = z.int().refine(isBucketCount, 'a power of two');
const buckets = z
  .array(
    z
      .int()
      .min(0)
      .max(BUCKETS_LIMIT - 1),
  )
  .max(BUCKETS_LIMIT);

const summarySchema = z.tuple([
  z.literal(SUMMARY_FORMAT),
  z
    .int()
    .min(0)
    .max(2 ** 32 - 1),
  z
    .array(
      z.tuple([
        spaceName,
        z
          .array(count)
          .max(BUCKETS_LIMIT)
          .refine(({ length }) => isBucketCount(length), 'a power of two'),
      ]),
    )
    .max(SPACES_LIMIT),
]);

const selectionSchema = z.array(z.tuple([spaceName, bucketCount, buckets])).max(SPACES_LIMIT);

const partsSchema = z.tuple([
  z.literal(SUMMARY_FORMAT),
  z.array(z.tuple([spaceName, bucketCount, buckets, hashes])).max(SPACES_LIMIT),
]);

const comparisonSchema = z.object({
  differences: z
    .array(
      z.tuple([spaceName, owner, z.array(z.tuple([key, count, count, count])).max(STAMPS_PER_OWNER_LIMIT)]),
    )
    .max(DIFFERENCES_LIMIT),
  isMore: z.boolean(),
});

const exchangeSchema = z.object({
  wants: z.array(want).max(WANTS_LIMIT),
  items: z.array(item).max(WANTS_LIMIT),
});

/** Made once: making a schema costs more than checking a heartbeat by it. */
const gossipSchema = z.tuple([z.literal(GOSSIP_FORMAT), z.array(item).max(GOSSIP_ITEMS_LIMIT)]);

const answerSchema = z.object({ items: z.array(item).max(WANTS_LIMIT), isCut: z.boolean() });

export interface Exchange {
  readonly wants: readonly Want[];
  readonly items: readonly Item[];
}

/** Each throws AspenError INVALID_REQUEST when a foreign body has not its shape. */
export const readDigest = reader<Digest>('digest', digestSchema);
export const readSelection = reader<readonly Buckets[]>('selection', selectionSchema);
export const readComparison = reader<Comparison>('comparison', comparisonSchema);
export const readExchange = reader<Exchange>('exchange', exchangeSchema);
export const readAnswer = reader<{ readonly items: readonly Item[]; readonly isCut: boolean }>(
  'answer',
  answerSchema,
);

const readSummaryMessage = reader('summary', summarySchema);
const readPartsMessage = reader('comparison of parts', partsSchema);

export function summaryMessage({ salt, sums }: Summary): unknown {
  return [SUMMARY_FORMAT, salt, sums];
}

/** @throws AspenError INVALID_REQUEST */
export function readSummary(foreign: unknown): Summary {
  const [, salt, sums] = readSummaryMessage(foreign);
  return { salt, sums };
}

export function partsMessage(parts: readonly Part[]): unknown {
  return [SUMMARY_FORMAT, parts];
}

/** @throws AspenError INVALID_REQUEST */
export function readParts(foreign: unknown): readonly Part[] {
  return readPartsMessage(foreign)[1];
}

/** @returns messages that each fit the transport, in order. */
export function encodeGossip(items: readonly Item[]): Uint8Array[] {
  const pages: Item[][] = [];
  let bytes = 0;
  for (const each of items) {
    bytes += roughBytes(each[1]);
    const page = pages.at(-1);
    if (page === undefined || bytes > GOSSIP_PAGE_BYTES || page.length >= GOSSIP_ITEMS_LIMIT) {
      pages.push([each]);
      bytes = roughBytes(each[1]);
    } else page.push(each);
  }
  return pages.map((page) => encode([GOSSIP_FORMAT, page]));
}

/** @returns the items; undefined when the bytes are not a gossip message of this format. */
export function decodeGossip(bytes: Uint8Array): readonly Item[] | undefined {
  const message = gossipSchema.safeParse(decodeForeignOrUndefined(bytes));
  return message.data?.[1];
}

function reader<T>(what: string, schema: z.ZodType<T>): (foreign: unknown) => T {
  return (foreign) => {
    const checked = schema.safeParse(foreign);
    if (checked.success) return checked.data;
    const path = checked.error.issues[0]?.path.join('.') ?? '';
    throw new AspenError(
      'INVALID_REQUEST',
      `not a registry ${what}: ${path} ${checked.error.issues[0]?.message}`,
    );
  };
}
