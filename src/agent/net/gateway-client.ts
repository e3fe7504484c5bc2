import { AspenError, type Clock, type Random, sleep, Tasks, withDeadline } from '../../base/index.ts';
import {
  GATEWAY_PORT,
  type GatewayAnswer,
  type Grant,
  NONCE_BYTES,
  type PortWish,
  pcpMapRequest,
  pmpAddressRequest,
  pmpMapRequest,
  readPcpMap,
  readPmpAddress,
  readPmpMap,
} from './gateway-messages.ts';
import type { UdpPort } from './udp-port.ts';

/** How a port was opened; it is closed the same way. */
export type GatewayKind = 'PCP' | 'NAT-PMP' | 'UPnP';

export interface Opened extends Grant {
  readonly kind: GatewayKind;
}

/** Asks a router to open a port. */
export interface PortOpener {
  /** @throws AspenError UNAVAILABLE when the router does not answer, or says no. */
  open(gateway: string, wish: PortWish, signal: AbortSignal): Promise<Opened>;
  /** As {@link open}. */
  close(gateway: string, kind: GatewayKind, wish: PortWish, signal: AbortSignal): Promise<void>;
}

export interface GatewayClientComponents {
  readonly udp: UdpPort;
  readonly clock: Clock;
  readonly random: Random;
}

/** When a question is asked again that nobody answers: a datagram may be lost, and a router may be slow. Unit: ms. */
const ASK_AT_MS = [0, 250, 750, 1_750];
const ANSWER_MS = 3_000;

/** Speaks PCP, and NAT-PMP where that is not understood or nobody answers. Nothing but the router is asked, and nothing but its answers are read. */
export class GatewayClient implements PortOpener {
  readonly #components: GatewayClientComponents;
  readonly #nonce: Uint8Array;

  constructor(components: GatewayClientComponents) {
    this.#components = components;
    this.#nonce = components.random.bytes(NONCE_BYTES);
  }

  async open(gateway: string, wish: PortWish, signal: AbortSignal): Promise<Opened> {
    try {
      return { kind: 'PCP', ...(await this.#byPcp(gateway, wish, signal)) };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof AspenError)) throw error;
      return { kind: 'NAT-PMP', ...(await this.#byPmp(gateway, wish, signal)) };
    }
  }

  async close(gateway: string, kind: GatewayKind, wish: PortWish, signal: AbortSignal): Promise<void> {
    const ending = { ...wish, lifetimeS: 0 };
    if (kind === 'PCP') await this.#byPcp(gateway, ending, signal);
    else await this.#mapByPmp(gateway, ending, signal);
  }

  async #byPcp(gateway: string, wish: PortWish, signal: AbortSignal): Promise<Grant> {
    const asked = { nonce: this.#nonce, localPort: wish.localPort };
    const read = (bytes: Uint8Array) => readPcpMap(bytes, asked);
    return await this.#ask(gateway, pcpMapRequest(wish, this.#nonce), read, signal);
  }

  async #byPmp(gateway: string, wish: PortWish, signal: AbortSignal): Promise<Grant> {
    const externalHost = await this.#ask(gateway, pmpAddressRequest(), readPmpAddress, signal);
    return { externalHost, ...(await this.#mapByPmp(gateway, wish, signal)) };
  }

  #mapByPmp(gateway: string, wish: PortWish, signal: AbortSignal): Promise<Omit<Grant, 'externalHost'>> {
    return this.#ask(gateway, pmpMapRequest(wish), (bytes) => readPmpMap(bytes, wish), signal);
  }

  async #ask<T>(
    gateway: string,
    question: Uint8Array,
    read: (bytes: Uint8Array) => GatewayAnswer<T> | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    const { udp, clock } = this.#components;
    const { promise, resolve, reject } = Promise.withResolvers<GatewayAnswer<T>>();
    using socket = await udp.open(4, ({ host, port, bytes }) => {
      const answer = host === gateway && port === GATEWAY_PORT ? read(bytes) : undefined;
      if (answer !== undefined) resolve(answer);
    });
    const asking = new Tasks(reject);
    try {
      const what = `asking ${gateway} to open a port`;
      const answer = await withDeadline({ clock, timeoutMs: ANSWER_MS, what, signal }, () => {
        asking.run((over) =>
          this.#repeat(() => socket.send({ host: gateway, port: GATEWAY_PORT, bytes: question }), over),
        );
        return promise;
      });
      if (answer.isOk) return answer.value;
      throw refused(gateway, answer.reason);
    } catch (error) {
      signal.throwIfAborted();
      const isSilent = error instanceof AspenError && error.code === 'DEADLINE_EXCEEDED';
      throw isSilent ? refused(gateway, 'it does not answer', error) : error;
    } finally {
      await asking.stop();
    }
  }

  async #repeat(send: () => void, over: AbortSignal): Promise<void> {
    let atMs = 0;
    for (const nextMs of ASK_AT_MS) {
      if (nextMs > atMs) await sleep(this.#components.clock, nextMs - atMs, over);
      atMs = nextMs;
      send();
    }
  }
}

function refused(gateway: string, reason: string, cause?: unknown): AspenError {
  return new AspenError('UNAVAILABLE', `the router ${gateway} opens no port: ${reason}`, {
    cause,
    outcome: 'not-applied',
  });
}
