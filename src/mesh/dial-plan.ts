import { isCircuit, parseCircuit } from './circuit-address.ts';
import { isLoopback } from './listen-addresses.ts';
import { isPublicAddress } from './public-address.ts';
import { isWebSocket } from './ws-address.ts';

/** When an attempt begins, counted from the begin of the dial. Unit: ms. */
export interface PlannedDial {
  readonly address: string;
  readonly afterMs: number;
}

export interface DialPlanFacts {
  /** What is known of the peer, the latest told first. */
  readonly addresses: readonly string[];
  /** Whether an address failed lately and is better left alone for the moment. */
  readonly isResting: (address: string) => boolean;
  /** Whether a circuit can begin at this relay now: it is linked. */
  readonly isRelayLinked: (relay: string) => boolean;
}

/** Pause between the begin of two attempts of one dial. Unit: ms. */
export const STAGGER_MS = 150;
/** Head start of direct ways over circuits; none when no direct way is left. Unit: ms. */
export const DIRECT_HEAD_START_MS = 1_000;
/** Head start of plain connections over WebSockets, which cost more for as long as they live; none when no plain way is left. Unit: ms. */
export const PLAIN_HEAD_START_MS = 500;
/** Most attempts of one dial. */
export const ATTEMPTS_LIMIT = 12;
/** So many of them are kept for WebSockets, where there are any: behind some firewalls nothing else works. */
const WEB_SOCKETS_KEPT = 3;

/**
 * In which order, and when, the addresses of a peer are tried: all of them soon, none waits for another to time out.
 *
 * - D1 Every address that could lead anywhere is tried within one dial, up to {@link ATTEMPTS_LIMIT}; those that rest only when nothing else is left.
 * - D2 Direct before relayed: a circuit begins after the head start, or at once when there is no direct way to try.
 * - D3 A circuit is tried only over a relay that is linked, and never over a circuit.
 * - D5 A WebSocket begins after its own head start, or at once when there is no plain way to try; before circuits in either case.
 */
export function planDials({ addresses, isResting, isRelayLinked }: DialPlanFacts): readonly PlannedDial[] {
  const all = [...new Set(addresses)];
  const direct = inOrder(all.filter((address) => !isCircuit(address)));
  const circuits = all.filter((address) => {
    const circuit = parseCircuit(address);
    return circuit !== undefined && isRelayLinked(circuit.relay); // D3
  });
  const isFresh = (address: string) => !isResting(address);
  const fresh = { direct: direct.filter(isFresh), circuits: circuits.filter(isFresh) };
  const isAnyFresh = fresh.direct.length + fresh.circuits.length > 0;
  return timed(isAnyFresh ? fresh : { direct, circuits }); // D1
}

function timed(ways: { readonly direct: readonly string[]; readonly circuits: readonly string[] }) {
  const circuits = oneForEachRelayFirst(ways.circuits);
  const directLimit = ATTEMPTS_LIMIT - Math.min(circuits.length, ATTEMPTS_LIMIT / 2);
  const webSockets = ways.direct.filter(isWebSocket);
  const plain = ways.direct
    .filter((address) => !isWebSocket(address))
    .slice(0, directLimit - Math.min(webSockets.length, WEB_SOCKETS_KEPT));
  const direct = [...plain, ...webSockets].slice(0, directLimit);
  const headStartMs = (count: number, ms: number) => (count === 0 ? 0 : ms);
  return [
    ...staggered(plain, 0),
    ...staggered(direct.slice(plain.length), headStartMs(plain.length, PLAIN_HEAD_START_MS)), // D5
    ...staggered(
      circuits.slice(0, ATTEMPTS_LIMIT - direct.length),
      headStartMs(direct.length, DIRECT_HEAD_START_MS), // D2
    ),
  ];
}

function staggered(addresses: readonly string[], beginMs: number): readonly PlannedDial[] {
  return addresses.map((address, at) => ({ address, afterMs: beginMs + at * STAGGER_MS }));
}

/** IPv4 and IPv6 take turns, so that a family that leads nowhere costs one pause; what is near goes first, loopback last but one's own. */
function inOrder(addresses: readonly string[]): readonly string[] {
  const ranked = addresses.toSorted((left, right) => rank(left) - rank(right));
  const four = ranked.filter((address) => !address.startsWith('/ip6/'));
  const six = ranked.filter((address) => address.startsWith('/ip6/'));
  return Array.from({ length: Math.max(four.length, six.length) }, (_, at) => [four[at], six[at]])
    .flat()
    .filter((address) => address !== undefined);
}

function rank(address: string): number {
  if (isLoopback(address)) return 2;
  return isPublicAddress(address) ? 0 : 1;
}

function oneForEachRelayFirst(circuits: readonly string[]): readonly string[] {
  const seen = new Map<string, number>();
  const turnOf = new Map<string, number>();
  for (const address of circuits) {
    const relay = parseCircuit(address)?.relay ?? '';
    const turn = seen.get(relay) ?? 0;
    seen.set(relay, turn + 1);
    turnOf.set(address, turn);
  }
  return circuits.toSorted((left, right) => (turnOf.get(left) ?? 0) - (turnOf.get(right) ?? 0));
}
