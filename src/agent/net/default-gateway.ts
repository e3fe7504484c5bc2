import { isPublicAddress } from '../../mesh/index.ts';
import type { InterfaceAddress } from './network-facts.ts';

/** The router that this machine sends everything to, and the machine's own address on that network. */
export interface Gateway {
  readonly host: string;
  readonly localHost: string;
}

const UP = 0x1;
const VIA_GATEWAY = 0x2;

/**
 * @param routeTable content of /proc/net/route; undefined where there is none.
 * @returns undefined when there is no router, or this machine has a public address there: then nothing has to be asked of it.
 */
export function defaultGateway(
  routeTable: string | undefined,
  addresses: readonly InterfaceAddress[],
): Gateway | undefined {
  const routes = (routeTable ?? '').split('\n').slice(1).flatMap(readRoute);
  const [best] = routes.toSorted((left, right) => left.metric - right.metric);
  const own = addresses.find((address) => address.interface === best?.device && address.family === 4);
  if (best === undefined || own === undefined || isPublicAddress(`/ip4/${own.host}`)) return undefined;
  return { host: best.host, localHost: own.host };
}

interface Route {
  readonly device: string;
  readonly host: string;
  readonly metric: number;
}

/** @param line interface, destination, gateway, flags, references, use, metric, mask; addresses in hexadecimal, little-endian. */
function readRoute(line: string): Route[] {
  const [device, destination, gateway = '', flags = '', , , metric = '', mask] = line.trim().split(/\s+/);
  const bits = Number.parseInt(flags, 16);
  const isDefault = destination === '00000000' && mask === '00000000';
  if (device === undefined || !isDefault || (bits & UP) === 0 || (bits & VIA_GATEWAY) === 0) return [];
  if (!/^[0-9a-f]{8}$/i.test(gateway)) return [];
  const host = [...Buffer.from(gateway, 'hex')].reverse().join('.');
  return [{ device, host, metric: Number.parseInt(metric, 10) || 0 }];
}
