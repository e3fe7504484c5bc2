import type { Stream } from '@libp2p/interface';
import type { Clock, PeerId, Timer } from '../base/index.ts';
import type { RelayShares } from './relay-shares.ts';

export interface CircuitEnd {
  readonly peerId: PeerId;
  readonly stream: Stream;
}

export interface CarriedCircuitComponents {
  readonly clock: Clock;
  readonly shares: RelayShares;
  readonly source: CircuitEnd;
  readonly target: CircuitEnd;
  /** Called once. */
  readonly onEnd: () => void;
}

/** Two streams of a relay joined to one: bytes go over as they come, no faster than the other end takes them and the sender's share allows. */
export class CarriedCircuit {
  readonly #components: CarriedCircuitComponents;
  readonly #timers = new Set<Timer>();
  /** The ends that send no more. */
  readonly #over = new Set<CircuitEnd>();
  #isEnded = false;

  constructor(components: CarriedCircuitComponents) {
    this.#components = components;
    const { source, target } = components;
    this.#join(source, target);
    this.#join(target, source);
  }

  isOf(peerId: PeerId): boolean {
    return this.#components.source.peerId === peerId || this.#components.target.peerId === peerId;
  }

  end(reason: Error): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    for (const timer of this.#timers) timer.cancel();
    const { source, target, onEnd } = this.#components;
    source.stream.abort(reason);
    target.stream.abort(reason);
    onEnd();
  }

  #join(from: CircuitEnd, to: CircuitEnd): void {
    const { clock, shares } = this.#components;
    /** Why nothing is read: the other end is full, the share is used up. */
    const holds = new Set<'full' | 'share'>();
    const release = (hold: 'full' | 'share') => {
      holds.delete(hold);
      if (holds.size === 0 && !this.#isEnded) from.stream.resume();
    };
    from.stream.addEventListener('message', ({ data }) => {
      if (this.#isEnded) return;
      const waitMs = shares.spend(from.peerId, data.byteLength, clock.monotonicMs());
      if (waitMs > 0) {
        holds.add('share');
        const timer = clock.setTimer(waitMs, () => {
          this.#timers.delete(timer);
          release('share');
        });
        this.#timers.add(timer);
      }
      if (!this.#forward(to.stream, data)) holds.add('full');
      if (holds.size > 0) from.stream.pause();
    });
    to.stream.addEventListener('drain', () => release('full'));
    from.stream.addEventListener('remoteCloseWrite', () => this.#onOver(from, to));
    from.stream.addEventListener('close', ({ error }) => {
      if (error !== undefined) this.end(error);
      else this.#onOver(from, to);
    });
    if (from.stream.status !== 'open') this.#onOver(from, to);
  }

  #forward(stream: Stream, data: Parameters<Stream['send']>[0]): boolean {
    try {
      return stream.send(data);
    } catch (error) {
      this.end(error instanceof Error ? error : new Error(String(error)));
      return true;
    }
  }

  #onOver(from: CircuitEnd, to: CircuitEnd): void {
    if (this.#isEnded || this.#over.has(from)) return;
    this.#over.add(from);
    to.stream.close().then(
      () => {
        if (this.#over.size === 2) this.end(new Error('the circuit is over'));
      },
      (error: Error) => this.end(error),
    );
  }
}
