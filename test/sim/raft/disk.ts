import type { LogIndex, Term } from '../../../src/base/brand.ts';
import type {
  Configuration,
  Entry,
  HardState,
  LogReader,
  Persist,
  SnapshotMeta,
} from '../../../src/lease/raft/index.ts';

/** What a replica has made of the entries applied so far. */
export interface MachineState {
  readonly index: number;
  readonly term: number;
  /** Hash over everything applied. */
  readonly chain: number;
  readonly configuration: Configuration;
}

export interface Snapshot {
  readonly meta: SnapshotMeta;
  readonly state: MachineState;
}

interface PendingWrite {
  readonly change: () => void;
  readonly done: () => void;
}

/** A disk that writes in order, late; a crash keeps a prefix of the writes on the way and loses the others. */
export class Disk implements LogReader {
  hardState: HardState = { term: 0 as Term, votedFor: null, commitIndex: 0 as LogIndex };
  machine: MachineState;
  #meta: SnapshotMeta;
  #entries: Entry[] = [];
  #pending: PendingWrite[] = [];

  constructor(configuration: Configuration) {
    this.#meta = { index: 0 as LogIndex, term: 0 as Term, configuration };
    this.machine = { index: 0, term: 0, chain: 0, configuration };
  }

  firstIndex(): LogIndex {
    return (this.#meta.index + 1) as LogIndex;
  }

  lastIndex(): LogIndex {
    return (this.#meta.index + this.#entries.length) as LogIndex;
  }

  term(index: LogIndex): Term | undefined {
    if (index === this.#meta.index) return this.#meta.term;
    return this.#entries[index - this.#meta.index - 1]?.term;
  }

  entries(from: LogIndex, to: LogIndex, bytesLimit: number): readonly Entry[] {
    const taken: Entry[] = [];
    let bytes = 0;
    for (let index: number = from; index < to; index += 1) {
      const entry = this.#entries[index - this.#meta.index - 1];
      if (entry === undefined) break;
      bytes += entry.payload.byteLength;
      if (bytes > bytesLimit && taken.length > 0) break;
      taken.push(entry);
    }
    return taken;
  }

  snapshotMeta(): SnapshotMeta {
    return this.#meta;
  }

  /** The latest configuration in the log, committed or not, else the snapshot's. */
  latestConfiguration(): Configuration {
    const latest = this.#entries.findLast((entry) => entry.configuration !== undefined);
    return latest?.configuration ?? this.#meta.configuration;
  }

  get pendingCount(): number {
    return this.#pending.length;
  }

  queue(change: () => void, done: () => void): void {
    this.#pending.push({ change, done });
  }

  completeNext(): void {
    const write = this.#pending.shift();
    write?.change();
    write?.done();
  }

  /** @param survivors how many of the writes on the way reach the platter, without anybody being told. */
  crash(survivors: number): void {
    for (const { change } of this.#pending.slice(0, survivors)) change();
    this.#pending = [];
  }

  write({ hardState, truncateFrom, entries }: Persist): void {
    if (truncateFrom !== null) this.#entries.length = truncateFrom - this.#meta.index - 1;
    this.#entries.push(...entries);
    if (hardState !== null) this.hardState = hardState;
  }

  install({ meta, state }: Snapshot): void {
    this.#meta = meta;
    this.#entries = [];
    this.machine = state;
  }

  /** Drops entries up to `index`, which the machine's durable state stands for. */
  compact(index: number, configuration: Configuration): void {
    const term = this.term(index as LogIndex) as Term;
    this.#entries.splice(0, index - this.#meta.index);
    this.#meta = { index: index as LogIndex, term, configuration };
  }

  /** The configuration in force at `index`, from what is still in the log. */
  configurationAt(index: number): Configuration {
    const upTo = this.#entries.slice(0, Math.max(0, index - this.#meta.index));
    return (
      upTo.findLast((entry) => entry.configuration !== undefined)?.configuration ?? this.#meta.configuration
    );
  }
}
