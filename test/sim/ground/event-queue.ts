/** What happens at one moment of the simulated world. */
export interface SimEvent {
  readonly atMs: number;
  /** Drawn from the seed: decides among events of the same moment. */
  readonly tieBreak: number;
  /** In order of scheduling: decides among equal draws. */
  readonly sequence: number;
  readonly label: string;
  readonly run: () => void;
  isCancelled: boolean;
}

/** A binary heap: the next event first. */
export class EventQueue {
  readonly #heap: SimEvent[] = [];

  get size(): number {
    return this.#heap.length;
  }

  peek(): SimEvent | undefined {
    return this.#heap[0];
  }

  push(event: SimEvent): void {
    let at = this.#heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, this.#heap[parent] as SimEvent)) break;
      this.#heap[at] = this.#heap[parent] as SimEvent;
      at = parent;
    }
    this.#heap[at] = event;
  }

  pop(): SimEvent | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    if (last !== undefined && this.#heap.length > 0) this.#sink(last);
    return first;
  }

  #sink(event: SimEvent): void {
    const size = this.#heap.length;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      const right = child + 1;
      if (right < size && isBefore(this.#heap[right] as SimEvent, this.#heap[child] as SimEvent))
        child = right;
      if (!isBefore(this.#heap[child] as SimEvent, event)) break;
      this.#heap[at] = this.#heap[child] as SimEvent;
      at = child;
    }
    this.#heap[at] = event;
  }
}

function isBefore(left: SimEvent, right: SimEvent): boolean {
  if (left.atMs !== right.atMs) return left.atMs < right.atMs;
  if (left.tieBreak !== right.tieBreak) return left.tieBreak < right.tieBreak;
  return left.sequence < right.sequence;
}
