import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { NetworkFacts } from './multicast.ts';

const ROUTE_TABLE = '/proc/net/route';

/** Reads the machine's interfaces and, on Linux, its IPv4 routes. */
export function readNetworkFacts(): NetworkFacts {
  const outside = Object.entries(networkInterfaces()).map(([name, addresses = []]) => ({
    name,
    families: new Set(addresses.filter(isToOthers).map(({ family }) => family)),
  }));
  const interfaces = outside.filter(({ families }) => families.has('IPv4')).map(({ name }) => name);
  const ipv6Only = outside
    .filter(({ families }) => families.has('IPv6') && !families.has('IPv4'))
    .map(({ name }) => name);
  return { interfaces, ipv6Only, routeTable: readRouteTable() };
}

/** Every interface has a link-local address by itself. */
function isToOthers({
  internal,
  address,
}: {
  readonly internal: boolean;
  readonly address: string;
}): boolean {
  return !internal && !/^fe[89ab]/i.test(address);
}

/** Content of /proc/net/route; undefined where there is none. */
export function readRouteTable(): string | undefined {
  try {
    return readFileSync(ROUTE_TABLE, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // not Linux
    throw error;
  }
}
