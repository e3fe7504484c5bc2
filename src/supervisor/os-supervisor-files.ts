import { randomBytes } from 'node:crypto';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** Where everything of supervisors lies within a data directory, but for their sockets, whose paths must be short. */
const DIRECTORY = 'supervisors';
const OUTPUTS = 'outputs';
const OWNER_ONLY_FILE = 0o600;
const OWNER_ONLY_DIRECTORY = 0o700;
const ID = /^[0-9a-f]{8}$/;

/** What tells one supervisor from every other process there ever was on any machine. */
export interface SupervisorRecord {
  readonly id: string;
  readonly protocol: number;
  /** Known to whoever may read the record: the owner of the directory. */
  readonly secret: string;
  /** Begins the mark of each of its attempts. */
  readonly nonce: string;
  readonly pid: number;
  readonly startTicks: number;
  readonly bootId: string;
  /** Inode of the data directory it works for: a copy of the directory has another one. */
  readonly directoryInode: number;
}

/** The files of the supervisors of one data directory. All of them are the owner's alone. */
export class SupervisorFiles {
  readonly dataDirectory: string;

  constructor(dataDirectory: string) {
    this.dataDirectory = dataDirectory;
    mkdirSync(join(dataDirectory, DIRECTORY), { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  }

  get inode(): number {
    return statSync(this.dataDirectory).ino;
  }

  get outputs(): string {
    return join(this.dataDirectory, OUTPUTS);
  }

  /** No longer than the agent's own. */
  socketPath(id: string): string {
    return join(this.dataDirectory, `s${id}`);
  }

  journalPath(id: string): string {
    return this.#path(id, 'journal');
  }

  logPath(id: string): string {
    return this.#path(id, 'log');
  }

  drawId(): string {
    return randomBytes(4).toString('hex');
  }

  /** @returns the ids of all supervisors that left anything here. */
  ids(): readonly string[] {
    const names = readdirSync(join(this.dataDirectory, DIRECTORY));
    return [...new Set(names.map((name) => name.split('.')[0] ?? ''))].filter((id) => ID.test(id));
  }

  writeRecord(record: SupervisorRecord): void {
    const path = this.#path(record.id, 'json');
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: OWNER_ONLY_FILE });
    renameSync(`${path}.new`, path);
  }

  /** @returns undefined when there is none, or none that makes sense. */
  readRecord(id: string): SupervisorRecord | undefined {
    const text = this.#read(this.#path(id, 'json'));
    return text === undefined ? undefined : recordOf(text, id);
  }

  readJournal(id: string): string {
    return this.#read(this.journalPath(id)) ?? '';
  }

  /** Whatever there was of it. */
  remove(id: string): void {
    const paths = ['json', 'json.new', 'journal', 'log'].map((end) => this.#path(id, end));
    for (const path of [...paths, this.socketPath(id)]) {
      try {
        unlinkSync(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    }
  }

  #read(path: string): string | undefined {
    try {
      return readFileSync(path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return undefined;
    }
  }

  #path(id: string, end: string): string {
    return join(this.dataDirectory, DIRECTORY, `${id}.${end}`);
  }
}

function recordOf(text: string, id: string): SupervisorRecord | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return undefined;
  }
  const record = value as Partial<SupervisorRecord> | null;
  const isWhole =
    record?.id === id &&
    [record.protocol, record.pid, record.startTicks, record.directoryInode].every(Number.isSafeInteger) &&
    [record.secret, record.nonce, record.bootId].every((field) => typeof field === 'string') &&
    (record.nonce?.length ?? 0) >= 32;
  return isWhole ? (record as SupervisorRecord) : undefined;
}
