import { AspenError, type PeerId } from '../base/index.ts';
import type { Group } from '../lease/index.ts';

/** Who holds the agreed state. */
export interface Copies {
  readonly voters: readonly PeerId[];
  readonly standbys: readonly PeerId[];
}

export interface CopiesNoteComponents {
  readonly group: Pick<Group, 'status'>;
  readonly keep: (copies: Copies) => Promise<void>;
  readonly onFailure: (error: unknown) => void;
}

/** Keeps outside of the store who holds the agreed state beside this node, so that it is known what is lost when the store is. */
export class CopiesNote {
  readonly #components: CopiesNoteComponents;
  #kept = '';

  constructor(components: CopiesNoteComponents) {
    this.#components = components;
  }

  /** Notes it where it has changed and this node is one of them. A full disk is tried again. */
  note(): void {
    const { group, keep, onFailure } = this.#components;
    const { role, voters, standbys } = group.status();
    const text = JSON.stringify([voters, standbys]);
    if (role === 'spare' || text === this.#kept) return;
    this.#kept = text;
    keep({ voters, standbys }).catch((error: unknown) => {
      if (error instanceof AspenError && error.code === 'RESOURCE_EXHAUSTED') this.#kept = '';
      else onFailure(error);
    });
  }
}
