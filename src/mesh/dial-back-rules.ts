import { isCircuit } from './circuit-address.ts';
import { isPublicAddress } from './public-address.ts';
import { isFromElsewhere } from './reach-rules.ts';
import type { PeerLink } from './transport.ts';

/** What came of asking others whether they reach an address of this node. */
export type DialBackOutcome = 'reached' | 'not-reached' | 'nobody-to-ask';

const ADDRESS = /^\/ip[46]\/[0-9a-fA-F.:]{2,45}\/tcp\/([1-9]\d{0,4})$/;
const PORT_MOST = 65_535;

/**
 * - E4 A member is dialed back only at the host that it is linked from, directly, and from anywhere: nobody makes this node dial a third.
 *
 * @param link of who asks; undefined when there is none. @param address foreign. @returns why not; undefined when it may be dialed.
 */
export function refusalToDialBack(
  link: Pick<PeerLink, 'path' | 'address'> | undefined,
  address: unknown,
): string | undefined {
  if (link === undefined || link.path !== 'direct' || isCircuit(link.address)) return 'not linked directly';
  const port = typeof address === 'string' ? ADDRESS.exec(address)?.[1] : undefined;
  if (typeof address !== 'string' || port === undefined || Number(port) > PORT_MOST) return 'no such address';
  if (hostOf(address) !== hostOf(link.address)) return 'another host than that of the link';
  return isPublicAddress(address) ? undefined : 'not reached from anywhere';
}

/** E1 @returns the members that are far enough away for their word to mean something, in the order of `links`. */
export function thoseToAsk<T extends Pick<PeerLink, 'path' | 'address'>>(
  links: readonly T[],
  ownAddresses: readonly string[],
): readonly T[] {
  const own = new Set(ownAddresses.map(hostOf));
  return links.filter(
    ({ path, address }) =>
      path === 'direct' && !own.has(hostOf(address)) && isFromElsewhere(address, ownAddresses),
  );
}

function hostOf(address: string): string {
  return address.split('/').slice(1, 3).join('/').toLowerCase();
}
