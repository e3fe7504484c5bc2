/** Room that all connections of a socket have together for lines that are not whole yet. Unit: bytes. */
export const LINE_ROOM_BYTES = 256 * 2 ** 20;

/**
 * What unfinished lines hold, over all connections.
 *
 * - R14 Many connections that each begin a long line, or send one in crumbs, hold no more than the room: the one that asks for more is closed.
 */
export class LineRoom {
  readonly #limitBytes: number;
  #heldBytes = 0;

  constructor(limitBytes: number = LINE_ROOM_BYTES) {
    this.#limitBytes = limitBytes;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** @param bytes more, or less where negative. @returns whether that fits; it is counted in either case, until it is given back. */
  change(bytes: number): boolean {
    this.#heldBytes += bytes;
    return bytes <= 0 || this.#heldBytes <= this.#limitBytes;
  }
}
