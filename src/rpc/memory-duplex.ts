import type { LineDuplex } from './line-duplex.ts';

/** `write` returns false while more than this waits. Unit: bytes. */
const HIGH_WATER_BYTES = 64 * 1_024;

/** One end of a connection in memory; what is written arrives at the other end in a later microtask. */
class MemoryDuplex implements LineDuplex {
  other: MemoryDuplex | undefined;
  #inbox: Buffer[] = [];
  #inboxBytes = 0;
  #isPaused = false;
  #isDelivering = false;
  #hasEnded = false;
  #isClosed = false;
  #onData: (chunk: Buffer) => void = () => undefined;
  #onDrain: () => void = () => undefined;
  #onEnd: () => void = () => undefined;
  #onClose: () => void = () => undefined;

  get bufferedBytes(): number {
    return this.other?.waitingBytes ?? 0;
  }

  get waitingBytes(): number {
    return this.#inboxBytes;
  }

  write(text: string): boolean {
    if (!this.#isClosed) this.other?.receive(Buffer.from(text));
    return this.bufferedBytes <= HIGH_WATER_BYTES;
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.#deliver();
  }

  close(): void {
    if (this.#isClosed) return;
    this.other?.end();
    this.#end();
  }

  destroy(): void {
    if (this.#isClosed) return;
    this.#inbox = [];
    this.other?.end();
    this.#end();
  }

  onData(callback: (chunk: Buffer) => void): void {
    this.#onData = callback;
  }

  onDrain(callback: () => void): void {
    this.#onDrain = callback;
  }

  onEnd(callback: () => void): void {
    this.#onEnd = callback;
  }

  onClose(callback: () => void): void {
    this.#onClose = callback;
  }

  receive(chunk: Buffer): void {
    this.#inbox.push(chunk);
    this.#inboxBytes += chunk.length;
    this.#deliver();
  }

  /** The other side is gone: what it wrote is delivered first. */
  end(): void {
    this.#hasEnded = true;
    this.#deliver();
  }

  /** Bytes waiting in the other end's inbox fell to nothing. */
  drained(): void {
    this.#onDrain();
  }

  #deliver(): void {
    if (this.#isDelivering) return;
    this.#isDelivering = true;
    queueMicrotask(() => {
      this.#isDelivering = false;
      if (this.#isPaused || this.#isClosed) return;
      const chunk = Buffer.concat(this.#inbox);
      this.#inbox = [];
      this.#inboxBytes = 0;
      if (chunk.length > 0) {
        this.#onData(chunk);
        this.other?.drained();
      }
      if (this.#hasEnded && this.#inbox.length === 0) {
        this.#onEnd();
        this.#end();
      }
    });
  }

  #end(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    queueMicrotask(() => this.#onClose());
  }
}

/** @returns the two ends of a connection in memory, for simulations and tests. */
export function createMemoryDuplexPair(): readonly [LineDuplex, LineDuplex] {
  const left = new MemoryDuplex();
  const right = new MemoryDuplex();
  left.other = right;
  right.other = left;
  return [left, right];
}
