/** A running hash of all that happened, and its last lines: same seed, same hash. */
const KEPT_LINES = 60;

export class Trace {
  #low = 0x811c9dc5;
  #high = 0x01000193;
  #lines: string[] = [];
  readonly #isPrinting: boolean;

  constructor(isPrinting: boolean) {
    this.#isPrinting = isPrinting;
  }

  add(line: string): void {
    for (let at = 0; at < line.length; at += 1) {
      const code = line.charCodeAt(at);
      this.#low = Math.imul(this.#low ^ code, 0x01000193);
      this.#high = Math.imul(this.#high ^ (code + at), 0x85ebca6b);
    }
    if (this.#isPrinting) process.stdout.write(`${line}\n`);
    this.#lines.push(line);
    if (this.#lines.length > 2 * KEPT_LINES) this.#lines = this.#lines.slice(-KEPT_LINES);
  }

  get hash(): string {
    return [this.#low, this.#high].map((half) => (half >>> 0).toString(16).padStart(8, '0')).join('');
  }

  get lastLines(): readonly string[] {
    return this.#lines.slice(-KEPT_LINES);
  }
}
