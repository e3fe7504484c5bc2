import { readFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import type { NetworkFacts } from './multicast.ts';

const ROUTE_TABLE = '/proc/net/route';

/** Reads the machine's interfaces and, on Linux, its IPv4 routes. */
export function readNetworkFacts(): NetworkFacts {
  const interfaces = Object.entries(networkInterfaces())
    .filter(([, addresses]) => addresses?.some(({ family, internal }) => family === 'IPv4' && !internal))
    .map(([name]) => name);
  return { interfaces, routeTable: readRouteTable() };
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
