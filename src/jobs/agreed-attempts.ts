import type { PeerId } from '../base/index.ts';
import type { JobRecord } from './record.ts';
import type { JobSpec } from './spec.ts';

/** An attempt that the group has given to a node, with what this leader granted it. */
export interface HeldAttempt {
  readonly jobId: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly node: PeerId;
  readonly sessionId: string;
  readonly startedGroupMs: number;
  readonly hold: JobSpec['hold'];
  isCancelling: boolean;
  isLosing: boolean;
  /** Longest hold granted by this leader; 0 before the first. */
  grantedHoldMs: number;
  /** When the node last listed it, by this leader's monotonic clock. */
  confirmedMs: number;
  /** When it was last sent to the node; far in the past before that. */
  sentMs: number;
}

/** Follows the running attempts of all jobs, by job and by node. */
export class AgreedAttempts {
  readonly #byJob = new Map<string, HeldAttempt>();
  readonly #byNode = new Map<PeerId, Map<string, HeldAttempt>>();

  get size(): number {
    return this.#byJob.size;
  }

  find(jobId: string): HeldAttempt | undefined {
    return this.#byJob.get(jobId);
  }

  all(): readonly HeldAttempt[] {
    return [...this.#byJob.values()];
  }

  of(node: PeerId): readonly HeldAttempt[] {
    return [...(this.#byNode.get(node)?.values() ?? [])];
  }

  countOf(node: PeerId): number {
    return this.#byNode.get(node)?.size ?? 0;
  }

  /** Takes over what the record says now. */
  follow(record: JobRecord | undefined, jobId: string): void {
    const known = this.#byJob.get(jobId);
    const running = record?.running ?? null;
    if (known !== undefined && known.fencingToken === running?.fencingToken) {
      known.isCancelling = record?.state === 'cancelling';
      return;
    }
    if (known !== undefined) this.#forget(known);
    if (record === undefined || running === null) return;
    const { attempt, fencingToken, node, sessionId, startedGroupMs } = running;
    this.#keep({
      jobId,
      attempt,
      fencingToken,
      node,
      sessionId,
      startedGroupMs,
      hold: record.spec.hold,
      isCancelling: record.state === 'cancelling',
      isLosing: false,
      grantedHoldMs: 0,
      confirmedMs: Number.NEGATIVE_INFINITY,
      sentMs: Number.NEGATIVE_INFINITY,
    });
  }

  #keep(attempt: HeldAttempt): void {
    this.#byJob.set(attempt.jobId, attempt);
    const ofNode = this.#byNode.get(attempt.node) ?? new Map<string, HeldAttempt>();
    this.#byNode.set(attempt.node, ofNode.set(attempt.jobId, attempt));
  }

  #forget({ jobId, node }: HeldAttempt): void {
    this.#byJob.delete(jobId);
    const ofNode = this.#byNode.get(node);
    ofNode?.delete(jobId);
    if (ofNode?.size === 0) this.#byNode.delete(node);
  }
}
