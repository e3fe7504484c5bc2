import type { InterfaceAddress } from './network-facts.ts';

/** Destination of a default route in /proc/net/route. */
const ANYWHERE = '00000000';

/**
 * A text that is another one when this machine's addresses are others, or it leaves for the world by another way: what looks the same to
 * programs in two networks with the same numbers mostly differs in neither, and then only the silence of the links tells.
 * @param routeTable content of /proc/net/route; undefined where there is none.
 */
export function networkMarkOf(
  addresses: readonly InterfaceAddress[],
  routeTable: string | undefined,
): string {
  const hosts = addresses.map(({ interface: name, host }) => `${name} ${host}`);
  const ways = (routeTable?.split('\n').slice(1) ?? []).flatMap((line) => {
    const [name, destination, gateway] = line.trim().split(/\s+/);
    return destination === ANYWHERE ? [`${name} via ${gateway}`] : [];
  });
  return [...hosts.sort(), ...ways.sort()].join(', ');
}
