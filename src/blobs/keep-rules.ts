import { BLOB_NAME_LIMIT, type BlobReference, type BlobState, REFERENCES_LIMIT } from './blob-state.ts';

/** Why and for how long a blob is kept. */
export interface KeepOptions {
  readonly isPinned?: boolean;
  readonly name?: string;
  /** The job that needs it. */
  readonly jobId?: string;
  /** For how long the job needs it at most. Unit: ms. @default as long as the job is on record */
  readonly keptForMs?: number;
}

/** The state of a blob that begins to be kept here. */
export function newState(
  { sizeBytes, origin, chunks }: Pick<BlobState, 'sizeBytes' | 'origin' | 'chunks'>,
  { isPinned = false, name, jobId, keptForMs }: KeepOptions,
  nowMs: number,
): BlobState {
  return {
    sizeBytes,
    addedAtMs: nowMs,
    usedAtMs: nowMs,
    isPinned,
    origin,
    name: name?.slice(0, BLOB_NAME_LIMIT) ?? null,
    references: jobId === undefined ? [] : withReference([], { jobId, keptForMs }, nowMs),
    chunks,
  };
}

/** What changes of a blob that is kept already and is asked for again: it gets no fewer reasons to stay. */
export function keptAgain(
  state: BlobState,
  { isPinned, name, jobId, keptForMs }: KeepOptions,
  nowMs: number,
): Partial<Omit<BlobState, 'chunks' | 'sizeBytes'>> {
  const isKnown = jobId === undefined || state.references.some((reference) => reference.jobId === jobId);
  return {
    usedAtMs: nowMs,
    isPinned: state.isPinned || isPinned === true,
    name: state.name ?? name?.slice(0, BLOB_NAME_LIMIT) ?? null,
    ...(!isKnown && { references: withReference(state.references, { jobId, keptForMs }, nowMs) }),
  };
}

/** G4: jobs whose time with the blob has passed. */
export function jobsOver(references: readonly BlobReference[], nowMs: number): ReadonlySet<string> {
  const over = references.filter(({ untilMs }) => untilMs !== null && untilMs <= nowMs);
  return new Set(over.map(({ jobId }) => jobId));
}

/** The newest stay, where there are more than are kept. */
function withReference(
  references: readonly BlobReference[],
  { jobId, keptForMs }: { readonly jobId: string; readonly keptForMs: number | undefined },
  sinceMs: number,
): readonly BlobReference[] {
  const untilMs = keptForMs === undefined ? null : sinceMs + keptForMs;
  return [...references, { jobId, sinceMs, untilMs }].slice(-REFERENCES_LIMIT);
}
