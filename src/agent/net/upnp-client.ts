import { AspenError, type Clock, withDeadline } from '../../base/index.ts';
import type { GatewayKind, Opened, PortOpener } from './gateway-client.ts';
import type { PortWish } from './gateway-messages.ts';
import type { UdpPort } from './udp-port.ts';
import {
  type ControlPoint,
  elementOf,
  readDescription,
  readSearchAnswer,
  SSDP_PORT,
  searchRequest,
  soapErrorOf,
  soapRequest,
} from './upnp-messages.ts';

/** HTTP to the router: no redirects, bodies of a bounded length. */
export interface GatewayHttp {
  /** @throws AspenError UNAVAILABLE when there is no whole answer. */
  send(
    request: {
      readonly url: string;
      readonly method: 'GET' | 'POST';
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    },
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: string }>;
}

export interface UpnpClientComponents {
  readonly udp: UdpPort;
  readonly http: GatewayHttp;
  readonly clock: Clock;
}

/** For each step. Unit: ms. */
const STEP_MS = 3_000;
/** When the router is looked for again: a datagram may be lost. Unit: ms. */
const SEARCH_AGAIN_MS = 800;
const SEARCHES = 3;
/** Of other ports, when one is taken. */
const PORT_TRIES = 4;
const PORT_TAKEN = 718;
const PERMANENT_ONLY = 725;
const DESCRIPTION = 'aspen';

/** Speaks UPnP with the router, and with nobody else: it is looked for by a datagram to itself, not by multicast. */
export class UpnpClient implements PortOpener {
  readonly #components: UpnpClientComponents;
  readonly #points = new Map<string, ControlPoint>();

  constructor(components: UpnpClientComponents) {
    this.#components = components;
  }

  async open(gateway: string, wish: PortWish, signal: AbortSignal): Promise<Opened> {
    const point = await this.#pointOf(gateway, signal);
    const { externalPort, lifetimeS } = await this.#map(gateway, point, wish, signal);
    const answer = await this.#ask(gateway, point, 'GetExternalIPAddress', {}, signal);
    const externalHost = elementOf(answer.body, 'NewExternalIPAddress');
    if (externalHost === undefined || !/^\d{1,3}(\.\d{1,3}){3}$/.test(externalHost))
      throw refused(gateway, 'it does not say its address outside');
    return { kind: 'UPnP', externalHost, externalPort, lifetimeS };
  }

  async close(
    gateway: string,
    _kind: GatewayKind,
    { externalPort }: PortWish,
    signal: AbortSignal,
  ): Promise<void> {
    const point = await this.#pointOf(gateway, signal);
    const args = { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: 'TCP' };
    const { status, body } = await this.#ask(gateway, point, 'DeletePortMapping', args, signal);
    if (status !== 200) throw refused(gateway, reasonOf(status, body));
  }

  /** A port that is taken makes room for the next one; a router that knows no end of a lease is asked without. */
  async #map(
    gateway: string,
    point: ControlPoint,
    wish: PortWish,
    signal: AbortSignal,
  ): Promise<{ readonly externalPort: number; readonly lifetimeS: number }> {
    let externalPort = wish.externalPort;
    let leaseS = wish.lifetimeS;
    let reason = '';
    for (let tries = 0; tries < PORT_TRIES; tries += 1) {
      const args = {
        ...{ NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: 'TCP' },
        ...{ NewInternalPort: wish.localPort, NewInternalClient: wish.localHost, NewEnabled: 1 },
        ...{ NewPortMappingDescription: DESCRIPTION, NewLeaseDuration: leaseS },
      };
      const { status, body } = await this.#ask(gateway, point, 'AddPortMapping', args, signal);
      if (status === 200) return { externalPort, lifetimeS: wish.lifetimeS };
      reason = reasonOf(status, body);
      const error = soapErrorOf(body);
      if (error === PERMANENT_ONLY) leaseS = 0;
      else if (error === PORT_TAKEN) externalPort = externalPort < 65_000 ? externalPort + 1 : 20_000;
      else break;
    }
    this.#points.delete(gateway);
    throw refused(gateway, reason);
  }

  async #pointOf(gateway: string, signal: AbortSignal): Promise<ControlPoint> {
    const known = this.#points.get(gateway);
    if (known !== undefined) return known;
    const { http } = this.#components;
    const location = await this.#search(gateway, signal);
    const { status, body } = await this.#step(gateway, signal, (over) =>
      http.send({ url: location, method: 'GET' }, over),
    );
    const point = status === 200 ? readDescription(body, location, gateway) : undefined;
    if (point === undefined) throw refused(gateway, 'it does not describe how to ask it');
    this.#points.clear();
    this.#points.set(gateway, point);
    return point;
  }

  async #search(gateway: string, signal: AbortSignal): Promise<string> {
    const { udp, clock } = this.#components;
    const { promise, resolve } = Promise.withResolvers<string>();
    using socket = await udp.open(4, ({ host, bytes }) => {
      const location = host === gateway ? readSearchAnswer(bytes, gateway) : undefined;
      if (location !== undefined) resolve(location);
    });
    const search = () => socket.send({ host: gateway, port: SSDP_PORT, bytes: searchRequest(gateway) });
    const timers = Array.from({ length: SEARCHES - 1 }, (_, at) =>
      clock.setTimer((at + 1) * SEARCH_AGAIN_MS, search),
    );
    try {
      search();
      return await this.#step(gateway, signal, () => promise);
    } finally {
      for (const timer of timers) timer.cancel();
    }
  }

  #ask(
    gateway: string,
    { url, service }: ControlPoint,
    action: string,
    args: Readonly<Record<string, string | number>>,
    signal: AbortSignal,
  ): Promise<{ readonly status: number; readonly body: string }> {
    const request = { url, method: 'POST', ...soapRequest(service, action, args) } as const;
    return this.#step(gateway, signal, (over) => this.#components.http.send(request, over));
  }

  async #step<T>(gateway: string, signal: AbortSignal, work: (over: AbortSignal) => Promise<T>): Promise<T> {
    const { clock } = this.#components;
    try {
      return await withDeadline({ clock, timeoutMs: STEP_MS, what: 'a step of UPnP', signal }, work);
    } catch (error) {
      signal.throwIfAborted();
      const isSilent = error instanceof AspenError && error.code === 'DEADLINE_EXCEEDED';
      throw isSilent ? refused(gateway, 'it does not answer', error) : error;
    }
  }
}

function reasonOf(status: number, body: string): string {
  const description = elementOf(body, 'errorDescription');
  const code = soapErrorOf(body);
  return code === undefined
    ? `it answers with status ${status}`
    : `it says ${code} ${(description ?? '').slice(0, 80)}`;
}

function refused(gateway: string, reason: string, cause?: unknown): AspenError {
  return new AspenError('UNAVAILABLE', `the router ${gateway} opens no port: ${reason}`, {
    cause,
    outcome: 'not-applied',
  });
}
