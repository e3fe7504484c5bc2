import type { ChunkSet } from './chunks.ts';

export interface ScheduleOptions {
  /** Chunks asked of one holder at a time. */
  readonly windowChunks: number;
  /** Faults (silence, refusals) after which a holder is left alone; one lie is enough. */
  readonly faultsLimit: number;
}

export interface Ask<P> {
  readonly peer: P;
  readonly index: number;
}

interface Holder {
  chunks: ChunkSet;
  readonly asked: Set<number>;
  /** Chunks it was asked for and did not give; it may give others. */
  readonly refused: Set<number>;
  faults: number;
  /** Faults in a row make it wait behind others. */
  isPaused: boolean;
}

/** No chunk is asked of more holders than this at a time. */
const COPIES_LIMIT = 2;

/**
 * Which chunk to ask of whom. A value with moves, no clock: who waits for answers says what became of them.
 *
 * - S1 A chunk is asked of a holder that says it has it, of at most two at a time, of each at most once at a time.
 * - S2 No holder is asked for more chunks at a time than its window.
 * - S3 While any chunk that is asked of nobody can be had, none is asked for twice; then who is idle takes over from who is slow.
 * - S4 A holder that lied is asked for nothing more; one that failed often neither.
 * - S5 While a willing holder has a missing chunk, something is asked or under way.
 */
export class ChunkSchedule<P> {
  readonly #options: ScheduleOptions;
  readonly #have: ChunkSet;
  readonly #holders = new Map<P, Holder>();
  /** How many holders each chunk is asked of now; absent: none. */
  readonly #askedOf = new Map<number, number>();
  /** All chunks before it are there or asked for. */
  #next = 0;

  /** @param have what is here already; changed as chunks arrive. */
  constructor(have: ChunkSet, options: ScheduleOptions) {
    this.#have = have;
    this.#options = options;
  }

  get isDone(): boolean {
    return this.#have.isFull;
  }

  get holderCount(): number {
    return this.#holders.size;
  }

  /** Chunks that are asked for and have not come. */
  get underWayCount(): number {
    return this.#askedOf.size;
  }

  isAvoided(peer: P): boolean {
    const holder = this.#holders.get(peer);
    return holder !== undefined && holder.faults >= this.#options.faultsLimit;
  }

  /** What a holder says it has, now. */
  offer(peer: P, chunks: ChunkSet): void {
    this.#next = 0; // what was here may have been lost since
    const known = this.#holders.get(peer);
    if (known === undefined)
      this.#holders.set(peer, {
        chunks,
        asked: new Set(),
        refused: new Set(),
        faults: 0,
        isPaused: false,
      });
    else {
      known.chunks = chunks;
      known.refused.clear();
      known.isPaused = false;
    }
  }

  /** What to ask for next; each counts as asked from here on. */
  take(): Ask<P>[] {
    const asks: Ask<P>[] = [];
    for (let round = 0; round < this.#options.windowChunks; round += 1)
      for (const [peer, holder] of this.#holders) {
        if (!this.#isOpen(holder)) continue;
        const index = this.#freshFor(holder) ?? this.#stolenFor(holder);
        if (index === undefined) continue;
        holder.asked.add(index);
        this.#askedOf.set(index, (this.#askedOf.get(index) ?? 0) + 1);
        asks.push({ peer, index });
      }
    return asks;
  }

  /** The chunk came, and is what it has to be. */
  arrived({ peer, index }: Ask<P>): void {
    const holder = this.#end(peer, index);
    if (holder !== undefined) {
      holder.faults = 0;
      holder.isPaused = false;
    }
    this.#have.add(index);
  }

  /** It has not got the chunk, or does not give it: others may. */
  refused({ peer, index }: Ask<P>): void {
    this.#end(peer, index)?.refused.add(index);
    this.#next = Math.min(this.#next, index);
  }

  /** It has no time now: it is asked again when it is offered again. */
  busy({ peer, index }: Ask<P>): void {
    const holder = this.#end(peer, index);
    this.#next = Math.min(this.#next, index);
    if (holder !== undefined) holder.isPaused = true;
  }

  /**
   * It was silent for too long: it is asked again when it is offered again. All that it was asked for at once is one fault.
   * @returns whether it is avoided from now on.
   */
  failed({ peer, index }: Ask<P>): boolean {
    const holder = this.#end(peer, index);
    this.#next = Math.min(this.#next, index);
    if (holder === undefined) return false;
    if (!holder.isPaused) holder.faults += 1;
    holder.isPaused = true;
    return holder.faults >= this.#options.faultsLimit;
  }

  /** S4 What it gave was not the chunk. */
  lied({ peer, index }: Ask<P>): void {
    const holder = this.#end(peer, index);
    this.#next = Math.min(this.#next, index);
    if (holder !== undefined) holder.faults = this.#options.faultsLimit;
  }

  /** It was away; what it said it has is no longer known. */
  gone(peer: P): void {
    const holder = this.#holders.get(peer);
    if (holder === undefined) return;
    for (const index of [...holder.asked]) {
      this.#end(peer, index);
      this.#next = Math.min(this.#next, index);
    }
    holder.isPaused = true;
  }

  /** @returns whether nobody can be asked, and nothing is awaited. */
  get isStuck(): boolean {
    return (
      !this.isDone &&
      this.#askedOf.size === 0 &&
      ![...this.#holders.values()].some((one) => this.#canHelp(one))
    );
  }

  #canHelp(holder: Holder): boolean {
    if (holder.isPaused || holder.faults >= this.#options.faultsLimit) return false;
    for (const index of this.#have.missing())
      if (holder.chunks.has(index) && !holder.refused.has(index)) return true;
    return false;
  }

  /** S2, S4 */
  #isOpen({ asked, isPaused, faults }: Holder): boolean {
    return !isPaused && faults < this.#options.faultsLimit && asked.size < this.#options.windowChunks;
  }

  /** S1 The first missing chunk that is asked of nobody. */
  #freshFor(holder: Holder): number | undefined {
    this.#skip();
    for (let index = this.#next; index < this.#have.limit; index += 1)
      if (!this.#have.has(index) && !this.#askedOf.has(index) && isWilling(holder, index)) return index;
    return undefined;
  }

  /** S3 The one that is longest under way elsewhere. */
  #stolenFor(holder: Holder): number | undefined {
    for (const [index, count] of this.#askedOf)
      if (count < COPIES_LIMIT && !this.#have.has(index) && isWilling(holder, index)) return index;
    return undefined;
  }

  #skip(): void {
    while (this.#next < this.#have.limit && (this.#have.has(this.#next) || this.#askedOf.has(this.#next)))
      this.#next += 1;
  }

  #end(peer: P, index: number): Holder | undefined {
    const holder = this.#holders.get(peer);
    if (holder === undefined || !holder.asked.delete(index)) return undefined;
    const count = (this.#askedOf.get(index) ?? 1) - 1;
    if (count > 0) this.#askedOf.set(index, count);
    else this.#askedOf.delete(index);
    return holder;
  }
}

function isWilling({ chunks, refused, asked }: Holder, index: number): boolean {
  return chunks.has(index) && !refused.has(index) && !asked.has(index);
}
