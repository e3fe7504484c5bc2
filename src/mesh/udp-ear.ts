import { AspenError, type Clock, type PeerId, sleep } from '../base/index.ts';
import type { Messenger } from './messenger.ts';
import type { Ear, UdpPlace } from './transport.ts';

export const OBSERVE_METHODS = {
  /** `null` → `[address, wallMs]`: from where you are linked with me, and what my clock says. */
  observe: 'net/observe',
  /**
   * `family` → `[port, token]`: send the token to that port of mine by UDP. With `['quic', family]` the first datagram of a QUIC
   * connection will do: a library that makes one lets nobody else send from its port.
   */
  listen: 'net/udp-listen',
  /** `token` → `[host, port]`, or null: from where it came. */
  seen: 'net/udp-seen',
} as const;

export const TOKEN_BYTES = 16;

/** What an ear waits for, see {@link OBSERVE_METHODS}; IPv4 only, since it is what routers translate. */
export type EarKind = 4 | readonly ['quic', 4];

export interface EarComponents {
  readonly messenger: Pick<Messenger, 'request'>;
  readonly clock: Clock;
}

export interface Listener {
  readonly peerId: PeerId;
  /** Where datagrams reach it. */
  readonly host: string;
}

const ASK_MS = 3_000;
const SEEN_TRIES = 10;
const SEEN_PAUSE_MS = 150;

/**
 * Sends something to an ear of a member, and asks over the link from where it came.
 * @param show is called once, with where to send it.
 * @returns undefined when nothing arrived. @throws AspenError as a request; INVALID_REQUEST when the member answers in an unknown way.
 */
export async function seenAt(
  { messenger, clock }: EarComponents,
  { peerId, host }: Listener,
  { kind, show, signal }: { kind: EarKind; show: (ear: Ear) => void; signal: AbortSignal },
): Promise<UdpPlace | undefined> {
  const ask = (method: string, body: unknown) =>
    messenger.request(peerId, method, body, { timeoutMs: ASK_MS, signal });
  const [port, token] = checkedEar(await ask(OBSERVE_METHODS.listen, kind));
  show({ host, port, token });
  for (let count = 0; count < SEEN_TRIES; count += 1) {
    await sleep(clock, SEEN_PAUSE_MS, signal);
    const seen = checkedPlace(await ask(OBSERVE_METHODS.seen, token));
    if (seen !== undefined) return seen;
  }
  return undefined;
}

function checkedEar(answer: unknown): readonly [port: number, token: Uint8Array] {
  const [port, token] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
  if (!isPort(port) || !(token instanceof Uint8Array) || token.length !== TOKEN_BYTES) throw unknownAnswer();
  return [port, token];
}

function checkedPlace(answer: unknown): UdpPlace | undefined {
  if (answer === null) return undefined;
  const [host, port] = Array.isArray(answer) ? (answer as readonly unknown[]) : [];
  if (typeof host !== 'string' || host.length > 64 || !isPort(port)) throw unknownAnswer();
  return { host, port };
}

function isPort(port: unknown): port is number {
  return typeof port === 'number' && Number.isInteger(port) && port >= 1 && port <= 65_535;
}

function unknownAnswer(): AspenError {
  return new AspenError('INVALID_REQUEST', 'a member answers in an unknown way');
}
