import type { Connection, Libp2p } from '@libp2p/interface';
import { multiaddr } from '@multiformats/multiaddr';
import { AspenError, type Clock, type PeerId } from '../base/index.ts';
import type { AddressRest } from './address-rest.ts';
import { isCircuit, parseCircuit } from './circuit-address.ts';
import { type PlannedDial, planDials } from './dial-plan.ts';
import type { TransportManager } from './libp2p-node.ts';
import { ProxyError } from './libp2p-proxy-connect.ts';
import { isWebSocket } from './ws-address.ts';

export interface DialerComponents {
  readonly clock: Clock;
  readonly node: Libp2p;
  readonly transportManager: Pick<TransportManager, 'dial'>;
  readonly rest: AddressRest;
  /** Opens a connection over a relay; the address is a well formed circuit. */
  readonly dialCircuit: (peerId: PeerId, address: string, signal: AbortSignal) => Promise<Connection>;
  readonly isRelayLinked: (relay: string) => boolean;
}

/** An attempt at one address that takes longer has failed. Unit: ms. */
const ADDRESS_TIMEOUT_MS = 3_000;
/** A WebSocket takes more round trips, and a proxy looks up names at its leisure. Unit: ms. */
const WEB_SOCKET_TIMEOUT_MS = 6_000;

/** Races the addresses of a peer by the plan: the first connection wins, the other attempts are given up. */
export class Libp2pDialer {
  readonly #components: DialerComponents;

  constructor(components: DialerComponents) {
    this.#components = components;
  }

  /**
   * Always makes a new connection.
   * @throws AspenError UNAVAILABLE when no address leads to the peer; the signal's reason when it aborts first.
   */
  async dial(peerId: PeerId, addresses: readonly string[], signal: AbortSignal): Promise<Connection> {
    const { rest, isRelayLinked } = this.#components;
    const plan = planDials({
      addresses,
      isRelayLinked,
      isResting: (address) => rest.isResting(peerId, address),
    });
    if (plan.length === 0) throw unreachable(peerId, addresses, []);
    return await this.#race(peerId, plan, signal);
  }

  #race(peerId: PeerId, plan: readonly PlannedDial[], signal: AbortSignal): Promise<Connection> {
    const { promise, resolve, reject } = Promise.withResolvers<Connection>();
    const waiting = [...plan];
    const running = new Set<AbortController>();
    const causes: unknown[] = [];
    let isOver = false;
    const end = (settle: () => void) => {
      if (isOver) return;
      isOver = true;
      timer?.cancel();
      signal.removeEventListener('abort', onAbort);
      for (const attempt of running) attempt.abort(new Error('another way was faster'));
      settle();
    };
    const onAbort = () => end(() => reject(signal.reason));
    const beganMs = this.#components.clock.monotonicMs();
    let timer: { cancel(): void } | undefined;
    const next = (): void => {
      if (isOver) return;
      const planned = waiting[0];
      if (planned === undefined) {
        if (running.size === 0) end(() => reject(unreachable(peerId, addressesOf(plan), causes)));
        return;
      }
      const waitMs = planned.afterMs - (this.#components.clock.monotonicMs() - beganMs);
      if (waitMs > 0 && running.size > 0) {
        timer?.cancel();
        timer = this.#components.clock.setTimer(waitMs, next);
        return;
      }
      waiting.shift();
      attempt(planned.address);
      next();
    };
    const attempt = (address: string): void => {
      const abort = new AbortController();
      running.add(abort);
      this.#attempt(peerId, address, abort).then(
        (connection) => {
          running.delete(abort); // its signal may never abort: the socket listens to it as long as it lives
          if (isOver) connection.abort(new Error('another way was faster'));
          else end(() => resolve(connection));
        },
        (error: unknown) => {
          running.delete(abort);
          causes.push(error);
          next();
        },
      );
    };
    if (signal.aborted) onAbort();
    else {
      signal.addEventListener('abort', onAbort, { once: true });
      next();
    }
    return promise;
  }

  async #attempt(peerId: PeerId, address: string, abort: AbortController): Promise<Connection> {
    const { clock, rest } = this.#components;
    let isTooSlow = false;
    const timeoutMs = isWebSocket(address) ? WEB_SOCKET_TIMEOUT_MS : ADDRESS_TIMEOUT_MS;
    const timer = clock.setTimer(timeoutMs, () => {
      isTooSlow = true;
      abort.abort(new Error(`${address} did not answer within ${timeoutMs} ms`));
    });
    try {
      const connection = await this.#open(peerId, address, abort.signal);
      rest.worked(peerId, address);
      return connection;
    } catch (error) {
      if (isTooSlow || !abort.signal.aborted) rest.failed(peerId, address); // D4
      throw error;
    } finally {
      timer.cancel();
    }
  }

  #open(peerId: PeerId, address: string, signal: AbortSignal): Promise<Connection> {
    const { node, transportManager, dialCircuit } = this.#components;
    if (isCircuit(address)) {
      if (parseCircuit(address) === undefined) throw new Error(`${address} is no circuit`);
      return dialCircuit(peerId, address, signal);
    }
    const target = multiaddr(`${address}/p2p/${peerId}`);
    // A name of several addresses is resolved by libp2p's own queue.
    if (address.startsWith('/dnsaddr/')) return node.dial(target, { signal, force: true });
    return transportManager.dial(target, { signal });
  }
}

function addressesOf(plan: readonly PlannedDial[]): readonly string[] {
  return plan.map(({ address }) => address);
}

function unreachable(peerId: PeerId, addresses: readonly string[], causes: readonly unknown[]): AspenError {
  const where = addresses.length === 0 ? 'no address is known' : `at ${addresses.join(', ')}`;
  const proxy = causes.find((cause) => cause instanceof ProxyError); // the owner has to look there, not at the member
  const why = proxy === undefined ? '' : `: ${proxy.message}`;
  return new AspenError('UNAVAILABLE', `cannot reach ${peerId} ${where}${why}`, {
    cause: causes.length === 1 ? causes[0] : new AggregateError(causes, causes.map(String).join('; ')),
    outcome: 'not-applied',
  });
}
