import type { Observation, Observer } from './observers.ts';

/** A change of a key, as a replica applied it, a writer was answered, or a watcher was told. */
export interface Change {
  readonly key: string;
  readonly revision: number;
  /** null: deleted. */
  readonly value: string | null;
}

/** Revisions without a gap: every change after the one and up to the other was told, or there was none. */
interface Span {
  readonly after: number;
  through: number;
}

/**
 * Whoever watches all keys is told of every change from where the watch began, in order, each once, also where it goes on through another
 * node; where it had to begin anew it knows of the gap. Nobody is told another change than the others.
 */
export class WatchesLeaveNothingOut implements Observer {
  readonly name = 'watches leave nothing out';
  readonly #changes = new Map<string, Change>();
  readonly #watchers = new Map<string, Watcher>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    if (event.type === 'changed') this.#learn(event, event.by);
    if (event.type === 'watches') this.#watcherOf(event.client).begin(event.after);
    if (event.type !== 'told') return;
    for (const change of event.changes) this.#learn(change, event.client);
    this.#broken.push(...this.#watcherOf(event.client).tell(event));
  }

  check(): readonly string[] {
    const watchers = [...this.#watchers];
    return [
      ...this.#broken,
      ...[...this.#changes.values()].flatMap((change) =>
        watchers
          .filter(([, watcher]) => watcher.misses(change))
          .map(([name]) => `${name} is not told that ${shown(change)}`),
      ),
    ];
  }

  #learn(change: Change, by: string): void {
    const known = this.#changes.get(nameOf(change));
    if (known === undefined) this.#changes.set(nameOf(change), change);
    else if (known.value !== change.value)
      this.#broken.push(`${by} has it that ${shown(change)}, others that ${shown(known)}`);
  }

  #watcherOf(name: string): Watcher {
    const watcher = this.#watchers.get(name) ?? new Watcher(name);
    this.#watchers.set(name, watcher);
    return watcher;
  }
}

class Watcher {
  readonly #name: string;
  readonly #told = new Set<string>();
  readonly #spans: Span[] = [];

  constructor(name: string) {
    this.#name = name;
  }

  begin(after: number): void {
    this.#spans.push({ after, through: after });
  }

  /** @returns what it is told out of order, or again, or of revisions that the notification does not speak of. */
  tell({ changes, through }: { readonly changes: readonly Change[]; readonly through: number }): string[] {
    const span = this.#spans.at(-1);
    if (span === undefined) return [`${this.#name} is told of changes before it watches`];
    const broken: string[] = [];
    if (through < span.through) broken.push(`${this.#name} goes back from ${span.through} to ${through}`);
    let last = span.through;
    for (const change of changes) {
      const { revision } = change;
      const isAgain = this.#told.has(nameOf(change));
      if (isAgain || revision <= span.through || revision < last || revision > through)
        broken.push(`${this.#name} is told after ${last}, up to ${through}, that ${shown(change)}`);
      last = Math.max(last, revision);
      this.#told.add(nameOf(change));
    }
    span.through = Math.max(span.through, through);
    return broken;
  }

  misses(change: Change): boolean {
    const { revision } = change;
    const isCovered = this.#spans.some(({ after, through }) => after < revision && revision <= through);
    return isCovered && !this.#told.has(nameOf(change));
  }
}

/** A command changes a key once. */
function nameOf({ key, revision }: Change): string {
  return `${revision} ${key}`;
}

function shown({ key, revision, value }: Change): string {
  return `${key} became ${JSON.stringify(value)} at ${revision}`;
}
