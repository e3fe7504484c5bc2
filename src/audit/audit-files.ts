/** Where the lines of an audit log lie: files of one directory that their owner alone can read. */
export interface AuditFiles {
  /** Names of the files with lines, in the order in which they were begun. */
  names(): Promise<readonly string[]>;
  /** @returns the whole file; empty when there is none. */
  read(name: string): Promise<Uint8Array>;
  /** Writes at a place, so that what a failed write left is written over; at 0 a file begins anew. Durable when it resolves. */
  write(name: string, offset: number, bytes: Uint8Array): Promise<void>;
  /** Cuts the file off there; durable when it resolves. */
  truncate(name: string, length: number): Promise<void>;
  remove(name: string): Promise<void>;
  /** Keeps the file under another name, which `names` does not list. */
  setAside(name: string): Promise<void>;
  /** The note of where the log stands; undefined when there is none. */
  readHead(): Promise<string | undefined>;
  /** There whole, old or new, at any moment. */
  writeHead(text: string): Promise<void>;
}

const SEQ_DIGITS = 12;
const NAME = /^audit-(\d{12,16})\.jsonl$/;

/** @param firstSeq of its first line. @returns names that are in order as text. */
export function fileName(firstSeq: number): string {
  return `audit-${String(firstSeq).padStart(SEQ_DIGITS, '0')}.jsonl`;
}

export function isFileName(name: string): boolean {
  return NAME.test(name);
}

/** @returns the number of the first line of the file of that name. */
export function firstSeqOf(name: string): number {
  return Number(NAME.exec(name)?.[1] ?? 0);
}
