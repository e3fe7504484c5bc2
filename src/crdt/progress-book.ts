import { compareHlc, formatHlc, type Hlc } from './hlc.ts';
import type { LwwMap } from './lww-map.ts';
import { decodeProgress, type Progress, type ProgressReport } from './profile.ts';

/** How far a job is. */
export interface JobProgress {
  readonly fencingToken: number;
  readonly progress: Progress;
  /** When it was reported; sorts like the moments do. */
  readonly hlc: string;
}

interface StampedReport extends ProgressReport {
  readonly stamp: Hlc;
}

/** Finds a job's progress among what all nodes report: each node that ran an attempt has its own entry, keyed by the job. */
export class ProgressBook {
  readonly #space: LwwMap;
  /** Who reports on a job; owners whose entry was collected since are dropped when they are met. */
  readonly #reporters = new Map<string, Set<string>>();

  constructor(space: LwwMap) {
    this.#space = space;
    space.onApplied(({ entry: { owner, key } }) => {
      const reporters = this.#reporters.get(key) ?? new Set();
      this.#reporters.set(key, reporters.add(owner));
    });
  }

  /** The report of the latest attempt; of one attempt, the latest report. */
  latest(jobId: string): JobProgress | undefined {
    let best: StampedReport | undefined;
    for (const owner of this.#reporters.get(jobId) ?? []) {
      const report = this.#reportOf(owner, jobId);
      if (report !== undefined && (best === undefined || isLater(report, best))) best = report;
    }
    if (best === undefined) return undefined;
    const { fencingToken, progress, stamp } = best;
    return { fencingToken, progress, hlc: formatHlc(stamp) };
  }

  /** Drops what points to entries that are gone. */
  sweep(): void {
    for (const [jobId, reporters] of this.#reporters) {
      for (const owner of reporters) if (this.#space.get(owner, jobId) === undefined) reporters.delete(owner);
      if (reporters.size === 0) this.#reporters.delete(jobId);
    }
  }

  /** The token of what this owner reported last; below every token when it did not. */
  tokenOf(owner: string, jobId: string): number {
    return this.#reportOf(owner, jobId)?.fencingToken ?? -1;
  }

  #reportOf(owner: string, jobId: string): StampedReport | undefined {
    const entry = this.#space.get(owner, jobId);
    const report = entry?.value === undefined ? undefined : decodeProgress(entry.value);
    if (entry === undefined || report === undefined) return undefined;
    return { ...report, stamp: { wallMs: entry.wallMs, counter: entry.counter, peerId: entry.owner } };
  }
}

function isLater(left: StampedReport, right: StampedReport): boolean {
  return left.fencingToken === right.fencingToken
    ? compareHlc(left.stamp, right.stamp) > 0
    : left.fencingToken > right.fencingToken;
}
