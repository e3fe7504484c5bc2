import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { StorageFault } from './store.ts';

/** A transaction writes whole pages and the way to them, so it needs more room than its values. Unit: bytes. */
const SPARE_BYTES = 2 ** 20;
const NO_SPACE = /ENOSPC|EDQUOT|MAP_FULL|No space left|Disk quota/i;
const IO_ERROR = 5;

export interface CommitFacts {
  readonly path: string;
  /** Sum of the values of the transaction that failed. */
  readonly valueBytes: number;
}

/**
 * What a failed commit means. lmdb reports a write that was cut short for lack of space as EIO, as it does a broken disk; the free
 * space tells them apart. Either way the meta page was not written, so the transaction did not happen.
 */
export async function commitFault(error: unknown, facts: CommitFacts): Promise<StorageFault> {
  const cause = await commitCause(error);
  const { message = String(cause), code } = cause as { readonly message?: string; readonly code?: unknown };
  const isFull = NO_SPACE.test(`${code} ${message}`) || (code === IO_ERROR && isDiskFull(facts));
  return isFull
    ? new StorageFault('full', `no space left for ${facts.path}`, { cause })
    : new StorageFault('sync-failed', `cannot write ${facts.path}: ${message}`, { cause });
}

/** lmdb rejects with a wrapper whose `commitError` is a promise that rejects with what really happened. */
async function commitCause(error: unknown): Promise<unknown> {
  const { commitError } = error as { readonly commitError?: Promise<never> };
  if (commitError === undefined) return error;
  return commitError.catch((cause: unknown) => cause);
}

function isDiskFull({ path, valueBytes }: CommitFacts): boolean {
  const { bavail, bsize } = statfsSync(dirname(path));
  return bavail * bsize < valueBytes * 2 + SPARE_BYTES;
}
