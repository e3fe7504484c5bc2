import {
  AspenError,
  decode,
  decodeForeign,
  isAsDecoded,
  type LogIndex,
  type Term,
} from '../../base/index.ts';
import type { Key } from '../../storage/index.ts';
import type { Configuration, Entry } from '../raft/index.ts';
import { type Batch, COMMAND_NESTING_LIMIT, type Command, decodeBatch } from './batch.ts';
import { ClientOutcomes } from './client-outcomes.ts';
import { ModuleContext, type Moment, TableReaders } from './contexts.ts';
import { hostModule } from './host-module.ts';
import type {
  CommandKind,
  Derived,
  Fact,
  MachineModule,
  QueryContext,
  QueryKind,
  Reaction,
  Volume,
} from './module.ts';
import { accepted, type CommandOutcome, refused } from './outcome.ts';
import { RequestIds } from './request-ids.ts';
import { encodeState, type MachineState, positionOf, readState, stateKey } from './state.ts';
import { type TableStore, WriteHash } from './tables.ts';

/**
 * Newest commands, and newest ways to apply them, that this software understands. 2: losses pause and are bounded by the job, attempts say
 * what they died of, purges go on where they were. 3: assignments name their places once a command.
 */
export const MACHINE_VERSION = 3;

/** A write buffer, as the machine uses it. */
export interface MachineStore extends TableStore {
  begin(): void;
  commit(): void;
  rollback(): void;
}

export interface MachineComponents {
  readonly store: MachineStore;
  /** Prefix of all keys of this machine. */
  readonly space: Key;
  readonly modules: readonly MachineModule[];
  /** Whether `hash` tells replicas apart, which costs a checksum a write. @default true */
  readonly isHashed?: boolean;
}

export interface AppliedEntry {
  readonly outcomes: readonly CommandOutcome[];
  readonly facts: readonly Fact[];
}

/** The log holds what this software does not understand: applying on would lead to another state than the others have. */
export class NotUnderstood extends Error {
  override readonly name = 'NotUnderstood';
}

/** Longer bodies are read as everybody reads them, so that the limits of a decoder hold for them. Unit: bytes. */
const GIVEN_BYTES = 2 ** 20;

const NOTHING: AppliedEntry = { outcomes: [], facts: [] };

/**
 * The replicated machine: feeds committed entries to its modules, one command after the other.
 *
 * - A1 The same entries lead to the same tables, outcomes and hash on every replica; nothing else is an input.
 * - A2 A refused command leaves no write behind; its refusal is its outcome.
 * - A3 Position, group time and applied index only grow, and are written in the same batch as the tables.
 * - A4 What is not understood is never skipped: the replica stops before it.
 * - A5 An entry is applied by the machine version that stands in it, wherever and whenever that is: what commands do is changed behind a
 *   version, and software that does not know it stops before the first entry that has it.
 * - A6 The leader applies what all others read from the entry, also where it does not read its own command again.
 */
export class Machine {
  readonly #store: MachineStore;
  readonly #space: Key;
  readonly #modules: ReadonlyMap<string, MachineModule>;
  readonly #contexts: ReadonlyMap<string, ModuleContext>;
  readonly #readers: TableReaders;
  readonly #derived = new Map<string, Derived>();
  /** By the module that is reacted to, in the order of the modules. */
  readonly #reactions: ReadonlyMap<string, readonly ModuleReactions[]>;
  readonly #entryEnds: readonly {
    readonly end: (context: ModuleContext) => void;
    readonly context: ModuleContext;
  }[];
  readonly #hash: WriteHash;
  readonly #state: MachineState;
  readonly #moment: Moment;
  readonly #clients: ClientOutcomes;
  readonly #requestIds: RequestIds;
  /** What was parsed when a command was admitted here, so that a leader does not read its own commands twice. */
  readonly #parsed = new WeakMap<Uint8Array, { readonly value: unknown }>();
  #isStateSaved = true;

  constructor({ store, space, modules, isHashed = true }: MachineComponents) {
    this.#store = store;
    this.#space = space;
    this.#state = readState(store, space);
    this.#hash = new WriteHash(space, isHashed);
    this.#hash.value = this.#state.hash;
    const all = [hostModule(this.#state), ...modules];
    this.#modules = new Map(all.map((module) => [module.name, module]));
    const schema = new Map(all.map(({ name, tables }) => [name, new Set(tables)]));
    this.#readers = new TableReaders(store, space, schema);
    this.#moment = {
      position: positionOf(this.#state),
      groupMs: this.#state.groupMs,
      wallMs: this.#state.wallMs,
      version: this.#state.version,
    };
    const parts = { store, space, hash: this.#hash };
    this.#contexts = new Map(
      all.map((module) => [module.name, new ModuleContext(module, parts, this.#moment, this.#readers)]),
    );
    for (const module of modules) {
      this.#readers.derive(module);
      if (module.derive !== undefined) this.#derived.set(module.name, this.#readers.derived(module.name));
    }
    for (const module of modules) this.#writeBehind(module);
    this.#reactions = this.#gatherReactions(modules);
    this.#entryEnds = modules.flatMap(({ name, endEntry }) =>
      endEntry === undefined ? [] : [{ end: endEntry, context: this.#contexts.get(name) as ModuleContext }],
    );
    this.#clients = new ClientOutcomes(store, space, this.#hash);
    this.#requestIds = new RequestIds(store, space, this.#hash);
  }

  /** What is written behind was compared when it changed: when it is written differs from replica to replica. */
  #writeBehind(module: MachineModule): void {
    const { writeBehind } = module;
    if (writeBehind === undefined) return;
    const parts = { store: this.#store, space: this.#space, hash: new WriteHash(this.#space, false) };
    const context = new ModuleContext(module, parts, this.#moment, this.#readers);
    this.#readers.writesBehind(module.name, () => writeBehind(context));
  }

  #gatherReactions(modules: readonly MachineModule[]): ReadonlyMap<string, readonly ModuleReactions[]> {
    const gathered = new Map<string, ModuleReactions[]>();
    for (const { name, reactions = {} } of modules) {
      for (const [to, byType] of Object.entries(reactions)) {
        if (!this.#modules.has(to)) continue;
        const parts = {
          byType,
          context: this.#contexts.get(name) as ModuleContext,
          derived: this.#derived.get(name),
        };
        gathered.set(to, [...(gathered.get(to) ?? []), parts]);
      }
    }
    return gathered;
  }

  get appliedIndex(): LogIndex {
    return this.#state.index;
  }

  get appliedTerm(): Term {
    return this.#state.term;
  }

  get configuration(): Configuration {
    return this.#state.configuration;
  }

  get position(): number {
    return this.#moment.position;
  }

  get groupMs(): number {
    return this.#state.groupMs;
  }

  get epoch(): number {
    return this.#state.epoch;
  }

  get version(): number {
    return this.#state.version;
  }

  /** Of everything applied so far; equal on all replicas at equal applied indexes. Says nothing where it is not kept. */
  get hash(): number {
    return this.#hash.value;
  }

  /**
   * Applies the next entry.
   * @param proposed the entry's batch where this very replica proposed it; otherwise it is read from the entry.
   * @throws NotUnderstood, and then the machine is as it was before the entry; InvariantError when a module is broken.
   */
  applyEntry(entry: Entry, proposed?: Batch): AppliedEntry {
    const batch = entry.kind === 'command' ? (proposed ?? decodeBatch(entry.payload)) : undefined;
    if (batch !== undefined) this.#requireUnderstood(batch);
    const applied = batch === undefined ? NOTHING : this.#applyBatch(batch, entry.index);
    this.#state.index = entry.index;
    this.#state.term = entry.term;
    if (entry.configuration !== undefined) this.#state.configuration = entry.configuration;
    this.#isStateSaved = false;
    return applied;
  }

  /** What is not even in the buffer of the store. */
  get behind(): Volume {
    let writes = 0;
    let bytes = 0;
    for (const { behind } of this.#derived.values()) {
      writes += behind?.writes ?? 0;
      bytes += behind?.bytes ?? 0;
    }
    return { writes, bytes };
  }

  /** A3: called before every flush, so that the tables never reach the disk without the index they stand for. */
  saveState(): void {
    if (this.#isStateSaved) return;
    this.#readers.catchUpAll();
    this.#state.hash = this.#hash.value;
    this.#store.put(stateKey(this.#space), encodeState(this.#state));
    this.#isStateSaved = true;
  }

  /**
   * What a leader asks before it lets a command into the log.
   * @param given the body before it was encoded, where that happened here: what would be read from the bytes is not read then.
   * @returns the machine version it is to be applied by: the one that is agreed on. @throws AspenError: not applied.
   */
  admit(
    { module, kind, body, request }: Pick<Command, 'module' | 'kind' | 'body' | 'request'>,
    given?: unknown,
  ): number {
    const { since, isLeadersOnly, parse } = this.#kind(module, kind);
    if (isLeadersOnly && request !== null) {
      throw new AspenError('DENIED', `${module}.${kind} is for the leader to propose`);
    }
    const { version } = this.#state;
    if (typeof since === 'number') requireAgreed(`${module}.${kind}`, since, version);
    const isKnown = body.length <= GIVEN_BYTES && isAsDecoded(given); // A6
    const value = parse(isKnown ? given : decodeForeign(body, COMMAND_NESTING_LIMIT));
    if (typeof since !== 'number') requireAgreed(`this ${module}.${kind}`, since(value), version);
    this.#parsed.set(body, { value });
    return version;
  }

  /** @returns the body of a command that was admitted here, as its module reads it. */
  admittedBody({ body }: Pick<Command, 'body'>): unknown {
    return this.#parsed.get(body)?.value;
  }

  /** @throws AspenError METHOD_NOT_FOUND, INVALID_PARAMS, or what the query itself says. */
  query(module: string, kind: string, body: unknown): unknown {
    const query: QueryKind | undefined = ownProperty(this.#modules.get(module)?.queries, kind);
    if (query === undefined) throw new AspenError('METHOD_NOT_FOUND', `there is no query ${module}.${kind}`);
    return query.run(query.parse(body), this.read(module));
  }

  /** @returns applied state as of now, seen from `module`. To be used before the next await. */
  read(module: string): QueryContext {
    return this.#readers.query(module, this.#moment);
  }

  #requireUnderstood({ version, commands }: Batch): void {
    if (version > MACHINE_VERSION) {
      throw new NotUnderstood(
        `the log holds machine version ${version}, this software understands ${MACHINE_VERSION}: update it`,
      );
    }
    for (const { module, kind } of commands) {
      if (ownProperty(this.#modules.get(module)?.commands, kind) === undefined) {
        throw new NotUnderstood(
          `the log holds ${module}.${kind}, which this software does not know: update it`,
        );
      }
    }
  }

  #applyBatch(batch: Batch, index: LogIndex): AppliedEntry {
    const state = this.#state;
    state.epoch = Math.max(state.epoch, batch.epoch);
    state.groupMs = Math.max(state.groupMs, batch.groupMs);
    state.wallMs = batch.wallMs;
    this.#moment.groupMs = state.groupMs;
    this.#moment.wallMs = batch.wallMs;
    this.#moment.version = batch.version; // A5
    const outcomes: CommandOutcome[] = [];
    const facts: Fact[] = [];
    for (const command of batch.commands) {
      state.commandCount += 1;
      this.#moment.position = positionOf(state);
      outcomes.push(this.#once(command, facts));
    }
    for (const { end, context } of this.#entryEnds) end(context);
    this.#clients.endEntry(index);
    return { outcomes, facts };
  }

  /** One effect per request, however often it comes. */
  #once(command: Command, facts: Fact[]): CommandOutcome {
    const { request, requestId } = command;
    if (request === null) return this.#onceById(command, requestId, facts);
    const found = this.#clients.find(request, this.#state.groupMs);
    if (found === 'acknowledged') return refused(alreadyAcknowledged(command));
    if (found === 'too-many') return refused(tooManyOutcomes(command));
    if (found !== undefined) return found;
    const outcome = this.#onceById(command, requestId, facts);
    this.#clients.record(request, outcome);
    return outcome;
  }

  #onceById(command: Command, requestId: string | null, facts: Fact[]): CommandOutcome {
    if (requestId === null) return this.#applyOne(command, facts);
    const found = this.#requestIds.find(requestId, command);
    if (found !== undefined) return found;
    const outcome = this.#applyOne(command, facts);
    const { module, kind } = command;
    const { position, groupMs } = this.#moment;
    this.#state.requestIdCount = this.#requestIds.record(
      requestId,
      outcome,
      { module, kind, position, groupMs },
      this.#state.requestIdCount,
    );
    return outcome;
  }

  #applyOne({ module, kind, body }: Command, facts: Fact[]): CommandOutcome {
    const { parse, apply } = this.#kind(module, kind);
    const context = this.#contexts.get(module) as ModuleContext;
    const derived = this.#derived.get(module);
    const hashBefore = this.#hash.value;
    this.#store.begin();
    derived?.begin();
    const reactions = this.#reactions.get(module) ?? NO_REACTIONS;
    for (const { derived: other } of reactions) other?.begin();
    try {
      const parsed = this.#parsed.get(body);
      const result = apply(parsed === undefined ? parse(decode(body)) : parsed.value, context);
      for (const reaction of reactions) react(context.facts, reaction);
      this.#store.commit();
      derived?.commit();
      facts.push(...context.facts);
      for (const { context: reacted, derived: other } of reactions) {
        other?.commit();
        facts.push(...reacted.facts);
      }
      return accepted(result);
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      this.#store.rollback(); // A2
      derived?.rollback();
      for (const { derived: other } of reactions) other?.rollback();
      this.#hash.value = hashBefore;
      this.#hash.addText(error.code);
      return refused(error);
    } finally {
      context.facts = [];
      for (const { context: reacted } of reactions) reacted.facts = [];
    }
  }

  #kind(module: string, kind: string): CommandKind {
    const command: CommandKind | undefined = ownProperty(this.#modules.get(module)?.commands, kind);
    if (command === undefined)
      throw new AspenError('METHOD_NOT_FOUND', `there is no command ${module}.${kind}`);
    return command;
  }
}

/** What one module does about the facts of another. */
interface ModuleReactions {
  readonly byType: Readonly<Record<string, Reaction>>;
  readonly context: ModuleContext;
  readonly derived: Derived | undefined;
}

const NO_REACTIONS: readonly ModuleReactions[] = [];

function react(facts: readonly Fact[], { byType, context }: ModuleReactions): void {
  for (const fact of facts) ownProperty(byType, fact.type)?.(fact, context);
}

/** Names come from elsewhere: `constructor` and its like are not kinds. */
function ownProperty<T>(table: Readonly<Record<string, T>> | undefined, name: string): T | undefined {
  return table !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}

function requireAgreed(what: string, needed: number, agreed: number): void {
  if (needed <= agreed) return;
  throw new AspenError(
    'CONFLICT',
    `${what} needs machine version ${needed}, the group is at ${agreed} until all of it understands more`,
    { details: { current: agreed } },
  );
}

function alreadyAcknowledged({ module, kind, request }: Command): AspenError {
  return new AspenError(
    'CONFLICT',
    `${module}.${kind}: request ${request?.sequence} was given up by its client and is not applied any more`,
  );
}

function tooManyOutcomes({ module, kind, request }: Command): AspenError {
  return new AspenError(
    'RESOURCE_EXHAUSTED',
    `${module}.${kind}: ${request?.client} has too many outcomes it never acknowledged`,
    { details: { limit: 'CLIENT_OUTCOMES_LIMIT', retryAfterMs: 1_000 } },
  );
}
