import { InvariantError, invariant } from '../../base/index.ts';
import type { Key, StoreView } from '../../storage/index.ts';
import type {
  ApplyContext,
  Derived,
  Fact,
  MachineModule,
  QueryContext,
  ReadonlyTable,
  Table,
} from './module.ts';
import { ReadTable, StoredTable, type TableStore, tablePrefix, type WriteHash } from './tables.ts';

/** The moment that all contexts of one host share. */
export interface Moment {
  position: number;
  groupMs: number;
  wallMs: number;
  version: number;
}

/** Names of every module and its tables, to catch a table nobody declared. */
export type Schema = ReadonlyMap<string, ReadonlySet<string>>;

/** One per module, used for each of its commands in turn. */
export class ModuleContext implements ApplyContext {
  readonly #module: string;
  readonly #moment: Moment;
  readonly #readers: TableReaders;
  readonly #tables: ReadonlyMap<string, Table<unknown>>;
  readonly #catchUp: () => void;
  facts: Fact[] = [];
  readonly compare: ApplyContext['compare'];

  constructor(
    module: MachineModule,
    { store, space, hash }: { store: TableStore; space: Key; hash: WriteHash },
    moment: Moment,
    readers: TableReaders,
  ) {
    this.#module = module.name;
    this.#moment = moment;
    this.#readers = readers;
    this.#catchUp = () => readers.catchUp(module.name);
    this.compare = hash.isOn ? (value) => hash.addText(JSON.stringify(value)) : undefined;
    this.#tables = new Map(
      module.tables.map((name) => [
        name,
        new StoredTable(store, tablePrefix(space, module.name, name), hash),
      ]),
    );
  }

  get position(): number {
    return this.#moment.position;
  }

  get groupMs(): number {
    return this.#moment.groupMs;
  }

  get wallMs(): number {
    return this.#moment.wallMs;
  }

  get version(): number {
    return this.#moment.version;
  }

  table<V>(name: string): Table<V> {
    const table = this.#tables.get(name);
    invariant(table !== undefined, () => `module ${this.#module} declares no table ${name}`);
    return table as Table<V>;
  }

  derived<D extends Derived>(): D {
    return this.#readers.derived<D>(this.#module);
  }

  read<V>(module: string, table: string): ReadonlyTable<V> {
    return this.#readers.table<V>(module, table);
  }

  catchUp(): void {
    this.#catchUp();
  }

  /** @param fact made for this call: it becomes the fact that is told. */
  emit(fact: { module?: string; readonly type: string; readonly [field: string]: unknown }): void {
    fact.module = this.#module;
    this.facts.push(fact as Fact);
  }
}

/** Read-only tables by module and name, each made once. */
export class TableReaders {
  readonly #store: StoreView;
  readonly #space: Key;
  readonly #schema: Schema;
  readonly #made = new Map<string, ReadTable<unknown>>();
  readonly #derived = new Map<string, Derived>();
  readonly #behind = new Map<string, () => void>();
  readonly #views = new Map<string, QueryContext>();

  constructor(store: StoreView, space: Key, schema: Schema) {
    this.#store = store;
    this.#space = space;
    this.#schema = schema;
  }

  table<V>(module: string, name: string): ReadonlyTable<V> {
    const prefix = tablePrefix(this.#space, module, name);
    let table = this.#made.get(prefix);
    if (table === undefined) {
      if (!this.#schema.get(module)?.has(name)) {
        throw new InvariantError(`module ${module} declares no table ${name}`);
      }
      table = new ReadTable(this.#store, prefix);
      this.#made.set(prefix, table);
    }
    return table as ReadonlyTable<V>;
  }

  /** Builds what the module derives from its tables as they are now. */
  derive({ name, derive }: MachineModule): void {
    if (derive !== undefined)
      this.#derived.set(
        name,
        derive({ table: (table) => this.table(name, table), catchUp: () => undefined }),
      );
  }

  /** @param write brings the tables of the module up to date. */
  writesBehind(module: string, write: () => void): void {
    this.#behind.set(module, write);
  }

  catchUp(module: string): void {
    this.#behind.get(module)?.();
  }

  catchUpAll(): void {
    for (const write of this.#behind.values()) write();
  }

  derived<D extends Derived>(module: string): D {
    const derived = this.#derived.get(module);
    invariant(derived !== undefined, () => `module ${module} derives nothing`);
    return derived as D;
  }

  /** @param moment that of the machine, which moves on. */
  query(module: string, moment: Pick<Moment, 'position' | 'groupMs'>): QueryContext {
    const known = this.#views.get(module);
    if (known !== undefined) return known;
    const view = this.#viewOf(module, moment);
    this.#views.set(module, view);
    return view;
  }

  #viewOf(module: string, moment: Pick<Moment, 'position' | 'groupMs'>): QueryContext {
    return {
      get position() {
        return moment.position;
      },
      get groupMs() {
        return moment.groupMs;
      },
      table: (name) => this.table(module, name),
      derived: () => this.derived(module),
      read: (other, name) => this.table(other, name),
      catchUp: () => this.catchUp(module),
    };
  }
}
