import { AspenError, type Clock, type Logger, mayGoUnheard, type Timer } from '../base/index.ts';

export interface QuicPort {
  readonly port: number;
  /** Handshakes that began there. */
  handshakeCount(): number;
  close(): Promise<void>;
}

export interface WatchedPort {
  /** Rejects when strangers have found the port, which is closed then. */
  readonly givenUp: Promise<never>;
  close(): Promise<void>;
}

export interface QuicPortWatchComponents {
  readonly clock: Clock;
  readonly log: Logger;
}

/** In one window, that of the one that the port is for among them. */
const HANDSHAKES_LIMIT = 16;
/** Unit: ms. */
const WINDOW_MS = 60_000;
/** Unit: ms. */
const LOOKS_EVERY_MS = 500;

interface Watched {
  readonly port: QuicPort;
  readonly giveUp: (error: AspenError) => void;
  /** When the window began, and how many handshakes there had been. */
  beganMs: number;
  beganCount: number;
}

/**
 * Closes ports that strangers have found.
 *
 * - U6 What begins a handshake there is held, 5 KiB each and 65,536 of them at most, and the library can neither refuse it nor stop listening while
 *   it carries a connection. A port where as many handshakes began within a minute as it takes at once is closed half a second later at most, with
 *   its link: that goes back to a circuit, and the next hole has another port.
 */
export class QuicPortWatch {
  readonly #components: QuicPortWatchComponents;
  readonly #ports = new Set<Watched>();
  #timer: Timer | undefined;

  constructor(components: QuicPortWatchComponents) {
    this.#components = components;
  }

  /** Until it is closed through what is returned. */
  watch(port: QuicPort): WatchedPort {
    const { promise, reject } = Promise.withResolvers<never>();
    mayGoUnheard(promise); // nobody waits for it once the one has come that the port is for
    const beganMs = this.#components.clock.monotonicMs();
    const watched: Watched = { port, giveUp: reject, beganMs, beganCount: 0 };
    this.#ports.add(watched);
    if (this.#ports.size === 1) this.#arm();
    return {
      givenUp: promise,
      close: () => {
        this.#forget(watched);
        return port.close();
      },
    };
  }

  #arm(): void {
    this.#timer = this.#components.clock.setTimer(LOOKS_EVERY_MS, () => {
      for (const watched of this.#ports) this.#look(watched);
      if (this.#ports.size > 0) this.#arm();
    });
  }

  #look(watched: Watched): void {
    const nowMs = this.#components.clock.monotonicMs();
    const count = watched.port.handshakeCount();
    if (count - watched.beganCount >= HANDSHAKES_LIMIT) this.#giveUp(watched);
    else if (nowMs - watched.beganMs >= WINDOW_MS) {
      watched.beganMs = nowMs;
      watched.beganCount = count;
    }
  }

  #giveUp(watched: Watched): void {
    const { log } = this.#components;
    const { port } = watched.port;
    this.#forget(watched);
    log.warn({ port }, 'strangers have found a port of a hole by QUIC: it is closed');
    const why = `no hole by QUIC: strangers have found port ${port}`;
    watched.giveUp(new AspenError('UNAVAILABLE', why, { outcome: 'not-applied' }));
    watched.port.close().catch((err: unknown) => log.warn({ err }, 'a port of QUIC was not closed'));
  }

  #forget(watched: Watched): void {
    this.#ports.delete(watched);
    if (this.#ports.size === 0) this.#timer?.cancel();
  }
}
