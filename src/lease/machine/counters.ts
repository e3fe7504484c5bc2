import { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import { keyText, textKey } from '../../storage/index.ts';
import { parseWith } from './checks.ts';
import { nameSchema } from './coordination-checks.ts';
import { exhausted } from './lease-records.ts';
import type { ApplyContext, MachineModule, QueryContext } from './module.ts';

/** Counters, and sequences, at one time. */
export const COUNTERS_LIMIT = 100_000;
/** Numbers that one `next` takes at most. */
export const SEQUENCE_COUNT_LIMIT = 1_000_000;
export const COUNTER_PAGE_LIMIT = 1_000;

export interface Counter {
  readonly value: number;
  /** Position of the command that changed it last. */
  readonly revision: number;
}

interface Range {
  readonly first: number;
  readonly last: number;
  readonly revision: number;
}

const whole = z
  .number()
  .refine((value) => Number.isSafeInteger(value), 'expected a whole number within 2^53');
const ref = z.object({ name: nameSchema });
const addSchema = ref.extend({ delta: whole });
const casSchema = ref.extend({ expected: whole, value: whole });
const nextSchema = ref.extend({ count: z.number().int().min(1).max(SEQUENCE_COUNT_LIMIT) });
const listSchema = z.object({
  prefix: z.string().max(1_024).default(''),
  limit: z.number().int().min(1).max(COUNTER_PAGE_LIMIT).default(100),
  cursor: z.string().max(4_096).optional(),
});

/**
 * Numbers that everybody shares.
 *
 * - C1 A counter that was never set is 0; it never leaves the whole numbers that can be told apart (2^53 - 1).
 * - C2 A sequence hands each number out once, from 1, without a gap, in the order of the commands.
 */
export const countersModule: MachineModule = {
  name: 'counters',
  tables: ['counters', 'sequences', 'counts'],
  commands: {
    add: { since: 1, parse: parseWith(addSchema), apply: applyAdd },
    cas: { since: 1, parse: parseWith(casSchema), apply: applyCas },
    delete: { since: 1, parse: parseWith(ref), apply: applyDelete },
    next: { since: 1, parse: parseWith(nextSchema), apply: applyNext },
  },
  queries: {
    get: {
      parse: parseWith(ref),
      run: ({ name }: z.infer<typeof ref>, context) => find(context, name) ?? { value: 0, revision: null },
    },
    list: { parse: parseWith(listSchema), run: listCounters },
  },
};

function applyAdd({ name, delta }: z.infer<typeof addSchema>, context: ApplyContext): Counter {
  const before = find(context, name)?.value ?? 0;
  const value = before + delta;
  if (!Number.isSafeInteger(value)) {
    throw new AspenError('CONFLICT', `counter "${name}" is ${before}: ${delta} more is beyond 2^53 - 1`, {
      details: { current: before },
    });
  }
  return write(context, name, value);
}

function applyCas({ name, expected, value }: z.infer<typeof casSchema>, context: ApplyContext) {
  const found = find(context, name);
  const current = found?.value ?? 0;
  if (current !== expected) return { swapped: false, value: current, revision: found?.revision ?? null };
  return { swapped: true, ...write(context, name, value) };
}

function applyDelete({ name }: z.infer<typeof ref>, context: ApplyContext): { readonly deleted: boolean } {
  if (find(context, name) === undefined) return { deleted: false };
  context.table<Counter>('counters').delete(textKey(name));
  count(context, 'counters', -1);
  return { deleted: true };
}

/** C2 */
function applyNext({ name, count: wanted }: z.infer<typeof nextSchema>, context: ApplyContext): Range {
  const table = context.table<number>('sequences');
  const before = table.get(textKey(name));
  if (before === undefined) count(context, 'sequences', 1);
  const first = (before ?? 0) + 1;
  const last = first + wanted - 1;
  if (!Number.isSafeInteger(last)) throw exhausted(`sequence "${name}" is at ${before}`, SEQUENCE_END);
  table.put(textKey(name), last);
  return { first, last, revision: context.position };
}

const SEQUENCE_END = { name: 'SEQUENCE_END', most: Number.MAX_SAFE_INTEGER };

function write(context: ApplyContext, name: string, value: number): Counter {
  if (find(context, name) === undefined) count(context, 'counters', 1);
  const counter = { value, revision: context.position };
  context.table<Counter>('counters').put(textKey(name), counter);
  return counter;
}

function find(context: ApplyContext | QueryContext, name: string): Counter | undefined {
  return context.table<Counter>('counters').get(textKey(name));
}

/** @throws AspenError RESOURCE_EXHAUSTED */
function count(context: ApplyContext, what: 'counters' | 'sequences', change: 1 | -1): void {
  const table = context.table<number>('counts');
  const there = table.get(what) ?? 0;
  if (change > 0 && there >= COUNTERS_LIMIT) {
    throw exhausted(`there are ${there} ${what}`, { name: 'COUNTERS_LIMIT', most: COUNTERS_LIMIT });
  }
  table.put(what, there + change);
}

function listCounters({ prefix, limit, cursor }: z.infer<typeof listSchema>, context: QueryContext) {
  const start = textKey(prefix);
  const from = cursor === undefined ? start : `${textKey(cursor)}\u0000`;
  const items: (Counter & { readonly name: string })[] = [];
  for (const [key, counter] of context.table<Counter>('counters').range({ from, limit: limit + 1 })) {
    if (!key.startsWith(start)) break;
    if (items.length === limit) return { items, cursor: items.at(-1)?.name };
    items.push({ name: keyText(key), ...counter });
  }
  return { items };
}
