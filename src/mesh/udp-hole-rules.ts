import { isCircuit } from './circuit-address.ts';
import { isPublicAddress } from './public-address.ts';
import type { HolePart, PeerLink, UdpPlace } from './transport.ts';
import { isWebSocket } from './ws-address.ts';

/** The asker's part in one try after the other: what one router does not let through may pass the other way round. */
export const PARTS: readonly HolePart[] = ['calls', 'answers'];
/** Members that are asked, one after the other, where they see a port: of one the datagrams may be filtered. */
const EARS_TRIED = 2;
/** The shortest datagram that begins a QUIC connection: shorter ones are padded to it. Unit: bytes. */
const INITIAL_BYTES = 1_200;
/** Form and fixed bit, and a type of 0: the first packet of version 1 of QUIC. */
const INITIAL_MASK = 0xf0;
const INITIAL_BITS = 0xc0;

export function otherPart(part: HolePart): HolePart {
  return part === 'calls' ? 'answers' : 'calls';
}

/** @returns whether a multiaddr leads over QUIC. */
export function isQuic(address: string): boolean {
  return /\/quic(?:-v1)?(?:\/|$)/.test(address);
}

/** @returns whether a datagram is the first one of a QUIC connection, as far as its head tells. */
export function isQuicInitial(bytes: Uint8Array): boolean {
  const [first = 0, ...version] = bytes.subarray(0, 5);
  return (
    bytes.length >= INITIAL_BYTES &&
    (first & INITIAL_MASK) === INITIAL_BITS &&
    version.every((byte, at) => byte === (at === 3 ? 1 : 0))
  );
}

/**
 * Whom to ask under which address a UDP port is seen: members that are reached directly at a public IPv4 address, the nearest first. One that is
 * linked by QUIC sits behind a router itself, and where only a WebSocket leads out, datagrams hardly do.
 */
export function earsFor(links: readonly PeerLink[]): readonly PeerLink[] {
  const near = ({ rttMs = Number.MAX_SAFE_INTEGER }: PeerLink) => rttMs;
  return links
    .filter(
      ({ path, address }) =>
        path === 'direct' &&
        address.startsWith('/ip4/') &&
        isPublicAddress(address) &&
        !isCircuit(address) &&
        !isWebSocket(address) &&
        !isQuic(address),
    )
    .toSorted((left, right) => near(left) - near(right))
    .slice(0, EARS_TRIED);
}

const UDP_ADDRESS = /^\/ip4\/(\d{1,3}(?:\.\d{1,3}){3})\/udp\/([1-9]\d{0,4})$/;

/** @returns the place that a peer says its port is seen at; undefined for anything but a public IPv4 address and a port. */
export function parseMapped(address: unknown): UdpPlace | undefined {
  if (typeof address !== 'string') return undefined;
  const [, host, port] = UDP_ADDRESS.exec(address) ?? [];
  if (host === undefined || Number(port) > 65_535) return undefined;
  const isAddress = host.split('.').every((part) => Number(part) <= 255);
  return isAddress && isPublicAddress(address) ? { host, port: Number(port) } : undefined;
}

export function mappedAddress({ host, port }: UdpPlace): string {
  return `/ip4/${host}/udp/${port}`;
}

/** @returns the host of an IPv4 multiaddr. */
export function hostOfIp4(address: string): string | undefined {
  return /^\/ip4\/([^/]+)\//.exec(address)?.[1];
}
