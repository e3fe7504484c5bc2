/** What the machine says about its network, as far as it matters to multicast. */
export interface NetworkFacts {
  /** Interfaces that are up and neither loopback nor without an IPv4 address. */
  readonly interfaces: readonly string[];
  /** Those that have IPv6 and no IPv4. @default none */
  readonly ipv6Only?: readonly string[];
  /** Content of /proc/net/route; undefined where there is none. */
  readonly routeTable: string | undefined;
}

const UP = 0x1;
const MULTICAST = { address: 0xe0000000, mask: 0xf0000000 };

/**
 * mDNS without a route for 224.0.0.251 finds nothing and says nothing, so we say it.
 * @returns what is wrong, for people; undefined when multicast can leave this machine, or nothing speaks against it.
 */
export function multicastProblem({
  interfaces,
  ipv6Only = [],
  routeTable,
}: NetworkFacts): string | undefined {
  if (interfaces.length === 0 && ipv6Only.length > 0)
    return `${ipv6Only.join(', ')} has no IPv4 address, and mDNS asks by IPv4 only: members are found by a ticket, and remembered`;
  if (interfaces.length === 0) return 'no network interface but loopback is up: mDNS can find nobody';
  if (routeTable === undefined) return undefined;
  const hasRoute = routeTable.split('\n').slice(1).some(carriesMulticast);
  if (hasRoute) return undefined;
  const device = interfaces[0];
  return `no default or multicast route: mDNS can find nobody (mend it with: ip route add 224.0.0.0/4 dev ${device})`;
}

/** @param line of /proc/net/route: interface, destination, gateway, flags, ..., mask, all numbers in hexadecimal, addresses little-endian. */
function carriesMulticast(line: string): boolean {
  const columns = line.trim().split(/\s+/);
  const [device, destination, , flags] = columns;
  const mask = columns[7];
  if (device === undefined || destination === undefined || flags === undefined || mask === undefined)
    return false;
  if (device === 'lo' || (Number.parseInt(flags, 16) & UP) === 0) return false;
  const maskBits = littleEndian(mask);
  const isWide = (maskBits & MULTICAST.mask) >>> 0 === maskBits; // no longer than 224.0.0.0/4
  return isWide && (MULTICAST.address & maskBits) >>> 0 === littleEndian(destination);
}

function littleEndian(hex: string): number {
  const value = Number.parseInt(hex, 16);
  return (
    (((value & 0xff) << 24) |
      ((value & 0xff00) << 8) |
      ((value >>> 8) & 0xff00) |
      ((value >>> 24) & 0xff)) >>>
    0
  );
}
