/**
 * Which of the addresses a node listens on are worth telling others.
 *
 * @param addresses multiaddrs with real interface addresses.
 * @returns without link-local ones, which mean nothing elsewhere; loopback only when there is nothing else.
 */
export function announcedAddresses(addresses: readonly string[]): readonly string[] {
  const usable = [...new Set(addresses)].filter(
    (address) => !/^\/ip6(zone\/[^/]*\/ip6)?\/fe[89ab]/i.test(address),
  );
  const reachable = usable.filter((address) => !isLoopback(address));
  return (reachable.length > 0 ? reachable : usable).toSorted((left, right) => rank(left) - rank(right));
}

export function isLoopback(address: string): boolean {
  return address.startsWith('/ip4/127.') || address.startsWith('/ip6/::1/');
}

function rank(address: string): number {
  return address.startsWith('/ip4/') ? 0 : 1;
}
