import { compareHlc, type Hlc } from './hlc.ts';
import type { LwwMap } from './lww-map.ts';
import { decodeProgress } from './profile.ts';

/** How far a job is. */
export interface JobProgress {
  readonly fencingToken: number;
  readonly progress: unknown;
  readonly hlc: Hlc;
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
    let best: JobProgress | undefined;
    for (const owner of this.#reporters.get(jobId) ?? []) {
      const report = this.#reportOf(owner, jobId);
      if (report !== undefined && (best === undefined || isLater(report, best))) best = report;
    }
    return best;
  }

  /** Drops what points to entries that are gone. */
  sweep(): void {
    for (const [jobId, reporters] of this.#reporters) {
      for (const owner of reporters) if (this.#space.get(owner, jobId) === undefined) reporters.delete(owner);
      if (reporters.size === 0) this.#reporters.delete(jobId);
    }
  }

  #reportOf(owner: string, jobId: string): JobProgress | undefined {
    const entry = this.#space.get(owner, jobId);
    const report = entry?.value === undefined ? undefined : decodeProgress(entry.value);
    if (entry === undefined || report === undefined) return undefined;
    return { ...report, hlc: { wallMs: entry.wallMs, counter: entry.counter, peerId: entry.owner } };
  }
}

function isLater(left: JobProgress, right: JobProgress): boolean {
  return left.fencingToken === right.fencingToken
    ? compareHlc(left.hlc, right.hlc) > 0
    : left.fencingToken > right.fencingToken;
}
