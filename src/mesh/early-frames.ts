/** Of one channel: a peer says little before it has been answered. */
const EARLY_FRAMES_LIMIT = 64;
const EARLY_BYTES_LIMIT = 256 * 2 ** 10;

interface Held {
  readonly frames: Uint8Array[];
  byteCount: number;
}

/**
 * What a peer says between its hello and the moment in which its channel is a link here: it sees the link before this end does, and often both arrive
 * in one piece. What is beyond the limits is lost, as a frame may be (T1).
 */
export class EarlyFrames<C extends object> {
  readonly #held = new Map<C, Held>();

  hold(channel: C, frame: Uint8Array): void {
    const held = this.#held.get(channel) ?? { frames: [], byteCount: 0 };
    if (held.frames.length >= EARLY_FRAMES_LIMIT || held.byteCount + frame.length > EARLY_BYTES_LIMIT) return;
    held.frames.push(new Uint8Array(frame)); // a copy: what it is cut from may be written over
    held.byteCount += frame.length;
    this.#held.set(channel, held);
  }

  /** @returns what it said, in order; it is held no longer. */
  take(channel: C): readonly Uint8Array[] {
    const frames = this.#held.get(channel)?.frames ?? [];
    this.#held.delete(channel);
    return frames;
  }
}
