import type { WireError } from '../base/index.ts';
import type { AttemptOutcome, JobError, JobRecord } from './record.ts';

/** Which attempt speaks. */
export interface AttemptRef {
  readonly jobId: string;
  readonly attempt: number;
  readonly fencingToken: number;
  /** The member of a group that speaks; absent where the attempt runs on one node. */
  readonly rank?: number | undefined;
}

/** What became of a report about an attempt. */
export interface Settlement {
  readonly state: JobRecord['state'];
  readonly outcome: AttemptOutcome;
}

/** One report, as many of them travel in one command. */
export type SettleItem =
  | ({ readonly kind: 'complete'; readonly result: unknown } & AttemptRef)
  | ({ readonly kind: 'cancelled'; readonly result: unknown } & AttemptRef)
  | ({ readonly kind: 'fail'; readonly error: JobError; readonly result: unknown } & AttemptRef)
  | ({
      readonly kind: 'lose';
      readonly reason: string;
      readonly isHandedOver: boolean;
      /** Its node is sure that it never began there. */
      readonly isUnbegun?: boolean | undefined;
    } & AttemptRef);

export type SettleResult = Settlement | { readonly error: WireError };
