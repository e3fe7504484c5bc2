import { AspenError, type Clock, type PeerId, SlotMap, type Timer } from '../base/index.ts';

interface Pending {
  readonly to: PeerId;
  readonly method: string;
  readonly timer: Timer;
  readonly resolve: (body: unknown) => void;
  readonly reject: (error: unknown) => void;
  readonly forget: () => void;
}

/** What one request waits with. */
export interface Waiting {
  readonly to: PeerId;
  readonly method: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Requests that were sent and not yet answered. Each settles exactly once; whatever comes for it later is ignored (Q2). */
export class PendingRequests {
  readonly #clock: Clock;
  readonly #limit: number;
  readonly #pending = new SlotMap<number, Pending>();

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#pending.size;
  }

  /**
   * @returns the answer; rejects with DEADLINE_EXCEEDED after `timeoutMs`, or with the signal's reason.
   * @throws AspenError RESOURCE_EXHAUSTED when too many wait already.
   */
  add(id: number, { to, method, timeoutMs, signal }: Waiting): Promise<unknown> {
    if (this.#pending.size >= this.#limit) {
      throw new AspenError('RESOURCE_EXHAUSTED', `${this.#limit} requests to peers are waiting already`, {
        details: { limit: 'pendingRequestsLimit', retryAfterMs: 100 },
      });
    }
    return new Promise((resolve, reject) => {
      const onAbort = () => this.#take(id)?.reject(signal?.reason);
      const timer = this.#clock.setTimer(timeoutMs, () =>
        this.#take(id)?.reject(
          new AspenError('DEADLINE_EXCEEDED', `${method} at ${to} was not answered in ${timeoutMs} ms`),
        ),
      );
      const forget = () => signal?.removeEventListener('abort', onAbort);
      this.#pending.set(id, { to, method, timer, resolve, reject, forget });
      signal?.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** @returns false when nobody waits for it, or it came from somebody who was not asked. */
  resolve(id: number, from: PeerId, body: unknown): boolean {
    if (this.#pending.get(id)?.to !== from) return false;
    this.#take(id)?.resolve(body);
    return true;
  }

  reject(id: number, from: PeerId, error: unknown): boolean {
    if (this.#pending.get(id)?.to !== from) return false;
    this.#take(id)?.reject(error);
    return true;
  }

  /** The channel to `peerId` closed: what it was asked may or may not have been done. */
  failAll(reason: (method: string) => unknown, peerId?: PeerId): void {
    for (const [id, { to, method }] of this.#pending.entries()) {
      if (peerId === undefined || to === peerId) this.#take(id)?.reject(reason(method));
    }
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    if (pending === undefined) return undefined;
    this.#pending.delete(id);
    pending.timer.cancel();
    pending.forget();
    return pending;
  }
}
