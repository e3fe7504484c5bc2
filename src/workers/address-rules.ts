import { BlockList, isIP } from 'node:net';
import { AspenError } from '../base/index.ts';

/**
 * Which addresses a node connects to for jobs.
 *
 * - W1 What is not a public unicast address is refused, unless the node's owner named a network that it lies in. What carries an IPv4
 *   address inside an IPv6 one is judged by the address inside.
 */
export interface AddressPolicy {
  /** @param address an IP address as text, never a name. */
  isAllowed(address: string): boolean;
}

/** IPv4 networks that are not the public internet (IANA special-purpose registry, RFC 6890). */
const SPECIAL_V4: readonly (readonly [network: string, bits: number])[] = [
  ['0.0.0.0', 8], // this host
  ['10.0.0.0', 8], // private
  ['100.64.0.0', 10], // shared by carriers
  ['127.0.0.0', 8], // loopback
  ['169.254.0.0', 16], // link-local, metadata services of clouds
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays
  ['192.168.0.0', 16], // private
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
];

/** Of IPv6 only global unicast (2000::/3) is public, less these. */
const PUBLIC_V6: readonly [network: string, bits: number] = ['2000::', 3];
const SPECIAL_V6: readonly (readonly [network: string, bits: number])[] = [
  ['2001::', 23], // protocol assignments, Teredo
  ['2001:db8::', 32], // documentation
  ['3fff::', 20], // documentation
];

const specialV4 = listOf(SPECIAL_V4, 'ipv4');
const publicV6 = listOf([PUBLIC_V6], 'ipv6');
const specialV6 = listOf(SPECIAL_V6, 'ipv6');

/** Networks that an owner may name. */
export const ALLOWED_NETWORKS_LIMIT = 64;

/** @param address an IP address. @returns false for everything that is not public unicast, and for what is no address. */
export function isPublicAddress(address: string): boolean {
  const bare = withoutZone(address);
  const family = isIP(bare);
  if (family === 4) return !specialV4.check(bare, 'ipv4');
  if (family !== 6) return false;
  const inner = innerV4(bare);
  if (inner !== undefined) return isPublicAddress(inner);
  return publicV6.check(bare, 'ipv6') && !specialV6.check(bare, 'ipv6');
}

/**
 * @param allowed networks such as `10.1.0.0/16`, `127.0.0.1` or `fd00::/8` that are allowed although they are not public; `private` for all.
 * @throws AspenError INVALID_PARAMS naming the text that is no network.
 */
export function addressPolicy(allowed: readonly string[]): AddressPolicy {
  if (allowed.includes('private')) return { isAllowed: (address) => isIP(withoutZone(address)) !== 0 };
  const networks = allowed.map(parseNetwork);
  const v4 = listOf(
    networks.filter(({ family }) => family === 'ipv4').map(({ network, bits }) => [network, bits]),
    'ipv4',
  );
  const v6 = listOf(
    networks.filter(({ family }) => family === 'ipv6').map(({ network, bits }) => [network, bits]),
    'ipv6',
  );
  const isNamed = (address: string): boolean => {
    const bare = withoutZone(address);
    const family = isIP(bare);
    if (family === 4) return v4.check(bare, 'ipv4');
    if (family !== 6) return false;
    const inner = innerV4(bare);
    return inner === undefined ? v6.check(bare, 'ipv6') : v4.check(inner, 'ipv4');
  };
  return { isAllowed: (address) => isPublicAddress(address) || isNamed(address) };
}

interface Network {
  readonly family: 'ipv4' | 'ipv6';
  readonly network: string;
  readonly bits: number;
}

/** @throws AspenError INVALID_PARAMS */
export function parseNetwork(text: string): Network {
  const [network = '', length] = text.split('/');
  const family = isIP(network) === 4 ? 'ipv4' : isIP(network) === 6 ? 'ipv6' : undefined;
  const most = family === 'ipv4' ? 32 : 128;
  const bits = length === undefined ? most : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (family === undefined || !(bits >= 0 && bits <= most) || text.split('/').length > 2)
    throw new AspenError(
      'INVALID_PARAMS',
      `"${text}" is not a network; write 10.1.0.0/16, fd00::/8, one address, or private`,
    );
  return { family, network, bits };
}

/** The zone of a link-local address says by which interface, not where. */
function withoutZone(address: string): string {
  const at = address.indexOf('%');
  return at < 0 ? address : address.slice(0, at);
}

const MAPPED = listOf([['::ffff:0:0', 96]], 'ipv6');
const COMPATIBLE = listOf([['::', 96]], 'ipv6');
const NAT64 = listOf(
  [
    ['64:ff9b::', 96],
    ['64:ff9b:1::', 48],
  ],
  'ipv6',
);
const SIX_TO_FOUR = listOf([['2002::', 16]], 'ipv6');

/** @returns the IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 or 6to4; undefined for the others. */
function innerV4(address: string): string | undefined {
  const groups = groupsOf(address);
  if (SIX_TO_FOUR.check(address, 'ipv6')) return v4Of(groups[1] as number, groups[2] as number);
  const isLast = [MAPPED, COMPATIBLE, NAT64].some((list) => list.check(address, 'ipv6'));
  if (!isLast || isHostItself(groups)) return undefined;
  return v4Of(groups[6] as number, groups[7] as number);
}

/** `::` and `::1`, which stand for no IPv4 address; neither is public. */
function isHostItself(groups: readonly number[]): boolean {
  return groups.slice(0, 7).every((group) => group === 0) && (groups[7] as number) <= 1;
}

function v4Of(high: number, low: number): string {
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** @returns the eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] {
  const plain = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) => {
    const high = Number(a) * 256 + Number(b);
    return `${high.toString(16)}:${(Number(c) * 256 + Number(d)).toString(16)}`;
  });
  const [head = '', tail] = plain.split('::');
  const read = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const front = read(head);
  if (tail === undefined) return front;
  const back = read(tail);
  return [...front, ...new Array<number>(8 - front.length - back.length).fill(0), ...back];
}

function listOf(
  networks: readonly (readonly [network: string, bits: number])[],
  family: 'ipv4' | 'ipv6',
): BlockList {
  const list = new BlockList();
  for (const [network, bits] of networks) list.addSubnet(network, bits, family);
  return list;
}
