import { AspenError } from '../../base/index.ts';
import { type ApplyContext, type QueryContext, textKey } from '../machine-port.ts';
import type { Tallies } from '../tallies.ts';
import { CLOSED } from './breaker.ts';
import { HOOKS_LIMIT, type Hook } from './hook.ts';

/** The hooks there are, decoded: a function of the table `hooks`, taken back with a refused command. */
export class HookBook {
  readonly #hooks = new Map<string, Hook>();
  #undo: (readonly [id: string, before: Hook | undefined])[] = [];

  get size(): number {
    return this.#hooks.size;
  }

  find(id: string): Hook | undefined {
    return this.#hooks.get(id);
  }

  /** The oldest first. */
  all(): readonly Hook[] {
    return [...this.#hooks.values()].sort((left, right) => left.position - right.position);
  }

  /** Whether any delivery waits to start. */
  hasWaiting(tallies: Pick<Tallies, 'ofQueue'>): boolean {
    for (const id of this.#hooks.keys()) if (tallies.ofQueue(id).waiting > 0) return true;
    return false;
  }

  /** @param hook undefined when there is none any more. */
  set(id: string, hook: Hook | undefined): void {
    this.#undo.push([id, this.#hooks.get(id)]);
    this.#put(id, hook);
  }

  begin(): void {
    if (this.#undo.length > 0) this.#undo = [];
  }

  rollback(): void {
    for (const [id, before] of this.#undo.reverse()) this.#put(id, before);
    this.#undo = [];
  }

  /** Everything it knows, for comparing two of them. */
  describe(): unknown {
    return this.all();
  }

  #put(id: string, hook: Hook | undefined): void {
    if (hook === undefined) this.#hooks.delete(id);
    else this.#hooks.set(id, hook);
  }
}

/** What holds a {@link HookBook}; the index in memory does. */
export interface HasHooks {
  readonly hooks: HookBook;
}

/** Every row of the table, for making the book anew. */
export function readHooks(tables: Pick<QueryContext, 'table'>, book: HookBook): void {
  for (const [, hook] of tables.table<Hook>('hooks').range({})) book.set(hook.id, hook);
  book.begin();
}

/** Table and book change together. @throws AspenError RESOURCE_EXHAUSTED when there are too many. */
export function putHook(context: ApplyContext, book: HookBook, hook: Hook): void {
  if (book.find(hook.id) === undefined && book.size >= HOOKS_LIMIT)
    throw new AspenError('RESOURCE_EXHAUSTED', `there are ${book.size} hooks, which is the most`, {
      details: { limit: 'HOOKS_LIMIT' },
    });
  context.table<Hook>('hooks').put(textKey(hook.id), hook);
  book.set(hook.id, hook);
  context.emit({ type: 'limits', key: hook.id });
}

export function deleteHook(context: ApplyContext, book: HookBook, id: string): void {
  context.table('hooks').delete(textKey(id));
  book.set(id, undefined);
  context.emit({ type: 'limits', key: id });
}

/** @param name an id, a unique prefix of one, or `last`. @throws AspenError NOT_FOUND; CONFLICT for a prefix of several. */
export function resolveHook(book: HookBook, name: string): Hook {
  const exact = name === 'last' ? book.all().at(-1) : book.find(name);
  if (exact !== undefined) return exact;
  const [only, ...others] = book.all().filter(({ id }) => name !== '' && id.startsWith(name));
  if (only === undefined) throw new AspenError('NOT_FOUND', `no hook ${name}`);
  if (others.length === 0) return only;
  throw new AspenError('CONFLICT', `"${name}" begins the ids of ${others.length + 1} hooks`);
}

export const FRESH = Object.freeze({ ...CLOSED, paused: null, droppedCount: 0, lastError: null });
