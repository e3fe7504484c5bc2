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
  /** When each of them happens, side by side: looking at the events themselves costs most of what a queue of many does. */
  readonly #times: number[] = [];

  get size(): number {
    return this.#heap.length;
  }

  peek(): SimEvent | undefined {
    return this.#heap[0];
  }

  push(event: SimEvent): void {
    let at = this.#heap.push(event) - 1;
    this.#times.push(event.atMs);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBefore(event, parent)) break;
      this.#put(at, this.#heap[parent] as SimEvent);
      at = parent;
    }
    this.#put(at, event);
  }

  pop(): SimEvent | undefined {
    const first = this.#heap[0];
    const last = this.#heap.pop();
    this.#times.pop();
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
      if (right < size && this.#isBefore(this.#heap[right] as SimEvent, child)) child = right;
      if (!this.#isLater(event, child)) break;
      this.#put(at, this.#heap[child] as SimEvent);
      at = child;
    }
    this.#put(at, event);
  }

  #put(at: number, event: SimEvent): void {
    this.#heap[at] = event;
    this.#times[at] = event.atMs;
  }

  #isBefore(event: SimEvent, other: number): boolean {
    const otherMs = this.#times[other] as number;
    if (event.atMs !== otherMs) return event.atMs < otherMs;
    return isBefore(event, this.#heap[other] as SimEvent);
  }

  #isLater(event: SimEvent, other: number): boolean {
    const otherMs = this.#times[other] as number;
    if (event.atMs !== otherMs) return event.atMs > otherMs;
    return isBefore(this.#heap[other] as SimEvent, event);
  }
}

function isBefore(left: SimEvent, right: SimEvent): boolean {
  if (left.atMs !== right.atMs) return left.atMs < right.atMs;
  if (left.tieBreak !== right.tieBreak) return left.tieBreak < right.tieBreak;
  return left.sequence < right.sequence;
}
