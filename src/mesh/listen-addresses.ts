import { isPublicAddress } from './public-address.ts';
import { isWebSocket } from './ws-address.ts';

/** Others look at the first few addresses only: of these, so many at most are plain before the WebSockets, and so many are WebSockets. */
const PLAIN_FIRST = 5;
const WEB_SOCKETS_FIRST = 2;

/**
 * Which of the addresses a node listens on are worth telling others.
 *
 * @param addresses multiaddrs with real interface addresses.
 * @returns without link-local ones, which mean nothing elsewhere; loopback only when there is nothing else. A WebSocket is
 * among the first ones, however many interfaces there are: some reach this node by nothing else.
 */
export function announcedAddresses(addresses: readonly string[]): readonly string[] {
  const usable = [...new Set(addresses)].filter(
    (address) => !/^\/ip6(zone\/[^/]*\/ip6)?\/fe[89ab]/i.test(address),
  );
  const reachable = usable.filter((address) => !isLoopback(address));
  const told = (reachable.length > 0 ? reachable : usable).toSorted(
    (left, right) => rank(left) - rank(right),
  );
  const plain = told.filter((address) => !isWebSocket(address));
  const webSockets = told.filter(isWebSocket).toSorted((left, right) => openRank(left) - openRank(right));
  return [
    ...plain.slice(0, PLAIN_FIRST),
    ...webSockets.slice(0, WEB_SOCKETS_FIRST),
    ...plain.slice(PLAIN_FIRST),
    ...webSockets.slice(WEB_SOCKETS_FIRST),
  ];
}

const WANTED = /^\/(ip[46])\/[^/]+\/tcp\/([1-9]\d*)(?:\/|$)/;

/**
 * @param wanted what a node was told to listen on. @param own what it listens on, with real interface addresses.
 * @returns of the former, fixed ports that nothing is listened for on: taken by another program, or not allowed.
 */
export function unboundAddresses(wanted: readonly string[], own: readonly string[]): readonly string[] {
  const isWayOf = (address: string) => {
    const [, family, port] = WANTED.exec(address) ?? [];
    return family === undefined ? undefined : `${family} ${port} ${isWebSocket(address)}`;
  };
  const ways = new Set(own.map(isWayOf));
  return wanted.filter((address) => isWayOf(address) !== undefined && !ways.has(isWayOf(address)));
}

export function isLoopback(address: string): boolean {
  return address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/');
}

function openRank(address: string): number {
  return isPublicAddress(address) ? 0 : 1;
}

function rank(address: string): number {
  return address.startsWith('/ip4/') ? 0 : 1;
}
