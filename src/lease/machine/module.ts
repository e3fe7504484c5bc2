import type { Key } from '../../storage/index.ts';

/** One table of a module, seen from inside `apply`: reads see the writes of this very command. Values are plain data. */
export interface Table<V> {
  get(key: Key): V | undefined;
  /** @returns the size of the stored value, in bytes. @throws as {@link Table.encode}. */
  put(key: Key, value: V): number;
  /**
   * The value as it would be stored, for `putEncoded`.
   * @throws AspenError RESOURCE_EXHAUSTED, INVALID_PARAMS naming the limit: a refusal, the same on every replica.
   */
  encode(key: Key, value: V): Uint8Array;
  putEncoded(key: Key, bytes: Uint8Array): void;
  delete(key: Key): void;
  /** In key order (or reverse). Do not write to this table while iterating: collect first. */
  range(range: TableRange): Iterable<readonly [Key, V]>;
}

export type ReadonlyTable<V> = Pick<Table<V>, 'get' | 'range'>;

/** Whole table when empty. `prefix` excludes `from`/`to`. */
export interface TableRange {
  readonly prefix?: Key;
  readonly from?: Key;
  readonly to?: Key;
  readonly reverse?: boolean;
  readonly limit?: number;
}

/** Something that happened in `apply`, told on every replica after the command's writes are visible there. */
export interface Fact {
  readonly module: string;
  readonly type: string;
  readonly [field: string]: unknown;
}

/**
 * What a module keeps in memory beside its tables: a function of them, made anew when a replica starts or takes a snapshot in. The machine
 * opens a scope before each command and takes back what a refused one changed.
 */
export interface Derived {
  /** What is left to be written behind. @default nothing */
  readonly behind?: Volume;
  begin(): void;
  commit(): void;
  rollback(): void;
}

/** How much is to be written. */
export interface Volume {
  readonly writes: number;
  readonly bytes: number;
}

/** All that `apply` may know. The same on every replica; no clock, no randomness, no environment. */
export interface ApplyContext {
  /** Epoch x 2^40 + number of the command in the group's whole history. Grows with every command and never repeats: tokens and revisions. */
  readonly position: number;
  /** Group time: moved on by the leader's monotonic clock, never back. Durations (TTLs, holds, delays) run on it. Unit: ms. */
  readonly groupMs: number;
  /** Wall time the leader saw, for planned instants and for people. Unit: ms. */
  readonly wallMs: number;
  /** Machine version that the log entry is to be applied by: what commands came to do in a later one stands behind it. */
  readonly version: number;
  table<V>(name: string): Table<V>;
  /** What the module derives from its tables. */
  derived<D extends Derived>(): D;
  /** Tables of other modules, to read only. */
  read<V>(module: string, table: string): ReadonlyTable<V>;
  emit(fact: Omit<Fact, 'module'> & { readonly type: string }): void;
  /** Brings the module's tables up to date with what it writes behind. */
  catchUp(): void;
  /** Adds what is written behind to what replicas are compared by; absent where nobody compares them. */
  readonly compare: ((value: unknown) => void) | undefined;
}

/** What a query may know: applied state at one moment. */
export interface QueryContext {
  /** Position of the last command applied. */
  readonly position: number;
  readonly groupMs: number;
  table<V>(name: string): ReadonlyTable<V>;
  derived<D extends Derived>(): D;
  read<V>(module: string, table: string): ReadonlyTable<V>;
  /** Brings the module's tables up to date with what it writes behind. */
  catchUp(): void;
}

/**
 * One kind of command. `parse` runs before a command is proposed (on the leader) and again in `apply` on every replica, and
 * throws AspenError INVALID_PARAMS; `apply` guards and changes, and throws AspenError to refuse, which undoes its writes:
 * the refusal is the recorded outcome, the same on every replica.
 */
export interface CommandKind<B = unknown, R = unknown> {
  /** First machine version that understands it, or what it says; it enters the log only when every voter and standby does. */
  readonly since: number | ((body: B) => number);
  /** Only the leader's own parts propose it (`Leadership.propose`); from a client it is refused `DENIED`. @default false */
  readonly isLeadersOnly?: boolean;
  readonly parse: (body: unknown) => B;
  readonly apply: (body: B, context: ApplyContext) => R;
}

export interface QueryKind<B = unknown, R = unknown> {
  readonly parse: (body: unknown) => B;
  readonly run: (body: B, context: QueryContext) => R;
}

/**
 * What a module does, within the same command, about a fact of another one: what hangs on it ends with it. It may not refuse, and nobody
 * reacts to the facts that it tells itself.
 */
export type Reaction = (fact: Fact, context: ApplyContext) => void;

/** A part of the replicated machine. The machine never learns what its modules are about. */
export interface MachineModule {
  readonly name: string;
  readonly tables: readonly string[];
  /** @param tables the module's own, as they are when a replica starts. */
  readonly derive?: (tables: Pick<QueryContext, 'table' | 'catchUp'>) => Derived;
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own body type; `parse` is what proves it
  readonly commands: Readonly<Record<string, CommandKind<any, unknown>>>;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  readonly queries: Readonly<Record<string, QueryKind<any, unknown>>>;
  /** Called after the last command of each log entry, to write what its commands gathered. It may not refuse. */
  readonly endEntry?: (context: ApplyContext) => void;
  /**
   * Writes to its tables what commands changed in memory only, so that what changes again soon is written once. Called before the tables
   * go to disk, and by `catchUp`. What a refused command caught up is taken back with the module's derived state.
   */
  readonly writeBehind?: (context: ApplyContext) => void;
  /** By module and type of fact. */
  readonly reactions?: Readonly<Record<string, Readonly<Record<string, Reaction>>>>;
}
