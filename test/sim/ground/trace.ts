/** Lines kept to be shown when a run fails. */
const KEPT_LINES_DEFAULT = 200;

/**
 * Everything observed in a run, in order, as one rolling hash: the same seed must give the same. Two 32-bit FNV-1a lanes over the
 * characters; against chance, not against forgery.
 */
export class Trace {
  readonly #kept: string[] = [];
  readonly #keptLimit: number;
  #low = 0x811c9dc5;
  #high = 0xcbf29ce4;
  #count = 0;

  constructor({ keptLines = KEPT_LINES_DEFAULT }: { readonly keptLines?: number } = {}) {
    this.#keptLimit = keptLines;
  }

  note(line: string): void {
    this.#count += 1;
    let low = this.#low;
    let high = this.#high;
    for (let at = 0; at < line.length; at += 1) {
      const code = line.charCodeAt(at);
      low = Math.imul(low ^ code, 0x01000193);
      high = Math.imul(high ^ code ^ (low >>> 15), 0x01000193);
    }
    this.#low = Math.imul(low ^ 0x0a, 0x01000193);
    this.#high = Math.imul(high ^ 0x0a, 0x01000193);
    if (this.#keptLimit === 0) return;
    this.#kept[(this.#count - 1) % this.#keptLimit] = line;
  }

  get count(): number {
    return this.#count;
  }

  /** 16 hex digits. */
  get hash(): string {
    return [this.#high, this.#low].map((lane) => (lane >>> 0).toString(16).padStart(8, '0')).join('');
  }

  /** @returns the last lines, oldest first. */
  tail(): readonly string[] {
    const first = this.#count % Math.max(1, this.#keptLimit);
    return this.#count <= this.#keptLimit
      ? [...this.#kept]
      : [...this.#kept.slice(first), ...this.#kept.slice(0, first)];
  }
}
