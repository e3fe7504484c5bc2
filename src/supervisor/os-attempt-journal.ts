import { appendFileSync, closeSync, constants, fdatasync, openSync, renameSync } from 'node:fs';
import { readProcessStat } from './os-census.ts';
import type { SupervisedAttempt } from './supervised-attempt.ts';
import type { AttemptJournal } from './supervision.ts';

const OWNER_ONLY_FILE = 0o600;
/** Beyond this the journal is written anew with what still runs. Unit: bytes. */
const REWRITE_AFTER_BYTES = 1024 * 1024;

interface Begun {
  readonly begun: string;
  readonly pid: number | null;
  readonly startTicks: number | null;
  readonly mark: string;
  readonly atMs: number;
}

/**
 * What a supervisor began and what has ended, one JSON value a line. A start does not wait for the disk: what the machine lost within its last
 * moments may be missing, and is lost to the mesh all the same, by its hold.
 */
export class OsAttemptJournal implements AttemptJournal {
  readonly #path: string;
  readonly #live = new Map<string, string>();
  #fd: number;
  #bytes = 0;
  #isSyncing = false;
  #isDirty = false;

  constructor(path: string) {
    this.#path = path;
    this.#fd = openForAppending(path);
  }

  begun({ order, pid, mark }: SupervisedAttempt): void {
    const entry: Begun = {
      begun: order.name,
      pid: pid ?? null,
      startTicks: pid === undefined ? null : (readProcessStat(pid)?.startTicks ?? null),
      mark,
      atMs: Date.now(),
    };
    const line = `${JSON.stringify(entry)}\n`;
    this.#live.set(order.name, line);
    this.#append(line);
  }

  ended({ order }: SupervisedAttempt): void {
    this.#live.delete(order.name);
    this.#append(`${JSON.stringify({ ended: order.name })}\n`);
    if (this.#bytes > REWRITE_AFTER_BYTES) this.#rewrite();
  }

  #append(line: string): void {
    try {
      appendFileSync(this.#fd, line);
      this.#bytes += line.length;
      this.#sync();
    } catch (error) {
      // A full disk costs the memory of what ran, and not what runs.
      if ((error as NodeJS.ErrnoException).code === undefined) throw error;
      process.stderr.write(`journal not written: ${String(error)}\n`);
    }
  }

  /** One at a time; what comes meanwhile is synced by the next. */
  #sync(): void {
    this.#isDirty = true;
    if (this.#isSyncing) return;
    this.#isSyncing = true;
    this.#isDirty = false;
    fdatasync(this.#fd, () => {
      this.#isSyncing = false;
      if (this.#isDirty) this.#sync();
    });
  }

  #rewrite(): void {
    if (this.#isSyncing) return;
    const next = openForAppending(`${this.#path}.new`);
    const text = [...this.#live.values()].join('');
    appendFileSync(next, text);
    renameSync(`${this.#path}.new`, this.#path);
    closeSync(this.#fd);
    this.#fd = next;
    this.#bytes = text.length;
  }
}

/** @returns the names of attempts that a journal says were begun, and not that they ended. */
export function unfinishedIn(journal: string): readonly string[] {
  const names = new Set<string>();
  for (const line of journal.split('\n')) {
    const entry = entryOf(line);
    if (typeof entry?.begun === 'string') names.add(entry.begun);
    if (typeof entry?.ended === 'string') names.delete(entry.ended);
  }
  return [...names];
}

/** @returns undefined for the line that was being written when the machine stopped. */
function entryOf(line: string): { readonly begun?: unknown; readonly ended?: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
}

function openForAppending(path: string): number {
  return openSync(path, constants.O_CREAT | constants.O_APPEND | constants.O_WRONLY, OWNER_ONLY_FILE);
}
