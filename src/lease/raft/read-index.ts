/**
 * Linearizable reads without a log entry (Raft paper, section 8; dissertation, section 6.4).
 *
 * R3 A read is served at the commit index of a round that began after the read was asked for, and only when a quorum
 *    has echoed that round: whoever echoes has not followed a newer leader before the round began.
 */
import type { LogIndex } from '../../base/brand.ts';

/** `now`: a round begins at once; `with-beat`: with the next beat, which costs no message. */
export type Hurry = 'now' | 'with-beat';

export interface ConfirmedRead {
  readonly context: number;
  readonly index: LogIndex;
}

interface Round {
  readonly number: number;
  readonly index: LogIndex;
  readonly contexts: readonly number[];
}

export class ReadIndex {
  #lastRound = 0;
  #gathered: number[] = [];
  #isHurried = false;
  #open: Round[] = [];

  /** The round that heartbeats carry. */
  get round(): number {
    return this.#lastRound;
  }

  get hasGathered(): boolean {
    return this.#gathered.length > 0;
  }

  /** Whether one was gathered that does not wait for the next beat. */
  get isHurried(): boolean {
    return this.#isHurried;
  }

  get hasOpen(): boolean {
    return this.#open.length > 0;
  }

  gather(context: number, hurry: Hurry): void {
    this.#gathered.push(context);
    if (hurry === 'now') this.#isHurried = true;
  }

  /** Begins one round for everything gathered so far. The caller sends its number to every voter. */
  begin(commitIndex: LogIndex): void {
    this.#lastRound += 1;
    this.#open.push({ number: this.#lastRound, index: commitIndex, contexts: this.#gathered });
    this.#gathered = [];
    this.#isHurried = false;
  }

  /** Begins a round for nobody: its echo tells who still follows. */
  beat(): void {
    this.#lastRound += 1;
  }

  /** @param agreedRound highest round that a quorum has echoed. */
  confirm(agreedRound: number): readonly ConfirmedRead[] {
    const reads: ConfirmedRead[] = [];
    while (this.#open[0] !== undefined && this.#open[0].number <= agreedRound) {
      const { contexts, index } = this.#open.shift() as Round;
      for (const context of contexts) reads.push({ context, index }); // R3
    }
    return reads;
  }

  /** @returns contexts that will never be answered, because the leadership ended. */
  fail(): readonly number[] {
    const contexts = [...this.#open.flatMap((round) => round.contexts), ...this.#gathered];
    this.#open = [];
    this.#gathered = [];
    this.#isHurried = false;
    return contexts;
  }
}
