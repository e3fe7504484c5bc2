import { isShallow } from './shallow.ts';

const PLAIN_INPUT: ReadonlySet<string> = new Set(['type', 'payload', 'id', 'queue', 'priority']);
const PLAIN_ID = /^job_[0-9a-zA-Z_-]{1,64}$/;

/** What most clients write: where the job goes and what it is about, nothing more. */
export interface PlainInput {
  readonly type: string;
  readonly payload?: unknown;
  readonly id?: string;
  readonly queue?: string;
  readonly priority?: number;
}

export function isPlainInput(input: unknown): input is PlainInput {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return false;
  for (const field in input) if (!PLAIN_INPUT.has(field)) return false;
  const { type, payload, id, queue, priority } = input as Readonly<Record<string, unknown>>;
  return (
    isName(type) &&
    isShallow(payload) &&
    (id === undefined || (typeof id === 'string' && PLAIN_ID.test(id))) &&
    (queue === undefined || isName(queue)) &&
    (priority === undefined || isPriority(priority))
  );
}

function isPriority(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= 10;
}

function isName(value: unknown): boolean {
  return typeof value === 'string' && value.length > 0 && value.length <= 128;
}
