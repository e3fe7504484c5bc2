/**
 * The leadership of this node, if it has one, and what is still to be told of those that ended.
 */
import type { Leading } from './leading.ts';
import type { ConfirmedRead } from './read-index.ts';

export class Leadership {
  #leading: Leading | null = null;
  /** The one that the driver was told of. */
  #told: Leading | null = null;
  /** Confirmed before the leadership ended, and still to be handed out. */
  #confirmedReads: ConfirmedRead[] = [];
  #failedReads: number[] = [];

  /** Null while this node does not lead. */
  get current(): Leading | null {
    return this.#leading;
  }

  get hasNews(): boolean {
    return (
      this.#confirmedReads.length > 0 ||
      this.#failedReads.length > 0 ||
      this.#told !== this.#leading ||
      (this.#leading?.hasDuties ?? false)
    );
  }

  begin(leading: Leading): void {
    this.#leading = leading;
  }

  end(): void {
    if (this.#leading === null) return;
    this.#confirmedReads.push(...this.#leading.takeReads());
    this.#failedReads.push(...this.#leading.failReads());
    this.#leading = null;
  }

  takeReads(): readonly ConfirmedRead[] {
    const reads = [...this.#confirmedReads, ...(this.#leading?.takeReads() ?? [])];
    this.#confirmedReads = [];
    return reads;
  }

  takeFailedReads(): readonly number[] {
    const failed = this.#failedReads;
    this.#failedReads = [];
    return failed;
  }

  /** A leadership lost and won again between two Readies is told as both, one after the other. */
  takeChange(): 'gained' | 'lost' | null {
    if (this.#told === this.#leading) return null;
    if (this.#told !== null) {
      this.#told = null;
      return 'lost';
    }
    this.#told = this.#leading;
    return 'gained';
  }
}
