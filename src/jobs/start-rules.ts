import type { Bucket } from '../lease/machine/index.ts';
import type { HookBook } from './hooks/hook-book.ts';
import type { LimitBook } from './limits.ts';
import type { Key } from './machine-port.ts';
import type { Tallies } from './tallies.ts';

/** What of a job its limits are about. */
export interface Limited {
  readonly type: string;
  readonly queue: string;
  readonly namespace: string;
  readonly concurrencyKey: string | null;
}

/** Why a job that waits may not start now. */
export interface Held {
  readonly by: 'pause' | 'concurrency' | 'key' | 'namespace' | 'rate' | 'hook';
  /** For people, as `job explain` shows it. */
  readonly reason: string;
  /** When it is time that holds it back; null when something else must happen. Unit: ms. */
  readonly retryAfterMs: number | null;
}

/** How many attempts hold a slot. */
export type Running = Pick<Tallies, 'ofQueue' | 'ofNamespace' | 'runningOfKey'>;

export interface Buckets {
  get(key: Key): Bucket | undefined;
  put(key: Key, bucket: Bucket): void;
}

export interface StartRules {
  readonly limits: LimitBook;
  readonly hooks: HookBook;
  readonly running: Running;
  readonly buckets: Pick<Buckets, 'get'>;
  readonly groupMs: number;
}
