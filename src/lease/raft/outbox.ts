/**
 * R5 What depends on durability leaves after it: a message that speaks of a term, a vote or entries is released with
 *    the write that holds them, or, when that write is already on its way, once no write is.
 */
import type { Message } from './messages.ts';

export class Outbox {
  #now: Message[] = [];
  #gated: Message[] = [];
  #writes: number[] = [];

  get hasMessages(): boolean {
    return this.#now.length > 0 || (this.#gated.length > 0 && this.#writes.length === 0);
  }

  send(message: Message): void {
    this.#now.push(message);
  }

  sendAfterPersist(message: Message): void {
    this.#gated.push(message);
  }

  /** Forgets what waits for durability, as if lost on the way: what it speaks of will not be written. */
  dropGated(): void {
    this.#gated = [];
  }

  /** @param hasWrite whether the Ready with this sequence carries something to persist. */
  take(sequence: number, hasWrite: boolean): { send: Message[]; sendAfterPersist: Message[] } {
    const taken = { send: this.#now, sendAfterPersist: [] as Message[] };
    this.#now = [];
    if (hasWrite) {
      this.#writes.push(sequence);
      taken.sendAfterPersist = this.#gated;
      this.#gated = [];
    } else if (this.#writes.length === 0) {
      taken.send.push(...this.#gated);
      this.#gated = [];
    }
    return taken;
  }

  persisted(sequence: number): void {
    while (this.#writes.length > 0 && (this.#writes[0] as number) <= sequence) this.#writes.shift();
  }
}
