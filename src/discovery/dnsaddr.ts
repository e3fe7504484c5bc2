import type { PeerId } from '../base/index.ts';

/** Looks at names. Rejects when there is no answer. */
export interface NameLookup {
  /** @returns the TXT records of a name, each in one piece; none when the name has none. */
  txt(name: string, signal: AbortSignal): Promise<readonly string[]>;
}

/** A member, and one place where it may be. */
export interface NamedPlace {
  readonly peerId: PeerId;
  readonly address: string;
}

/** Names within names are followed so far. */
export const DEPTH_LIMIT = 3;
/** Names asked for in one resolution, however they refer to each other. */
export const LOOKUPS_LIMIT = 16;
/** Records of one name that are looked at, in the order of their text. */
export const RECORDS_LIMIT = 32;
/** Places taken of one resolution. */
export const PLACES_LIMIT = 64;

const RECORD_PREFIX = 'dnsaddr=';
const ADDRESS_CHARACTERS_LIMIT = 256;
const NAME =
  /^(?=.{1,200}$)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9])?)*$/i;
/** Ed25519: an identity multihash in base 58. */
const PEER_ID = /^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/;

/** `/dnsaddr/<name>`, or `/dnsaddr/<name>/p2p/<peer>` for what is said of one member only. */
export interface DnsName {
  readonly name: string;
  readonly peerId?: PeerId;
}

/** @returns undefined when the address is none of this kind, or its name is no name. */
export function parseDnsName(address: string): DnsName | undefined {
  const [empty, kind, name = '', p2p, peerId, ...rest] = address.split('/');
  if (empty !== '' || kind !== 'dnsaddr' || !NAME.test(name) || rest.length > 0) return undefined;
  if (p2p === undefined) return { name };
  if (p2p !== 'p2p' || peerId === undefined || !PEER_ID.test(peerId)) return undefined;
  return { name, peerId: peerId as PeerId };
}

/** @param address e.g. `/ip4/203.0.113.1/tcp/4100/p2p/12D3...`. @returns undefined when it names no member, or leads over others. */
export function parsePlace(address: string): NamedPlace | undefined {
  if (!address.startsWith('/') || address.length > ADDRESS_CHARACTERS_LIMIT) return undefined;
  const at = address.lastIndexOf('/p2p/');
  const peerId = address.slice(at + '/p2p/'.length);
  const place = address.slice(0, at);
  if (at <= 0 || !PEER_ID.test(peerId) || place.startsWith('/dnsaddr/') || place.includes('/p2p'))
    return undefined;
  return { peerId: peerId as PeerId, address: place };
}

/** @param record a TXT record. @returns the address in it; undefined when it says something else. */
export function parseDnsaddrRecord(record: string): NamedPlace | DnsName | undefined {
  if (!record.startsWith(RECORD_PREFIX)) return undefined;
  const address = record.slice(RECORD_PREFIX.length);
  return parseDnsName(address) ?? parsePlace(address);
}

/**
 * What the TXT records of `_dnsaddr.<name>` say, and those of the names in them.
 *
 * - I1 Whoever writes the records decides what is tried, within limits of depth, lookups, records and places, and nothing else.
 *
 * @throws what the lookup of the first name ends with; of the others, who does not answer is left out.
 */
export async function resolveDnsName(
  lookup: NameLookup,
  from: DnsName,
  signal: AbortSignal,
): Promise<readonly NamedPlace[]> {
  const found = new Map<string, NamedPlace>();
  const asked = new Set<string>();
  let level: readonly DnsName[] = [from];
  for (let depth = 0; depth < DEPTH_LIMIT && level.length > 0; depth += 1) {
    const next: DnsName[] = [];
    for (const wanted of level) {
      if (asked.size >= LOOKUPS_LIMIT || asked.has(keyOf(wanted))) continue;
      asked.add(keyOf(wanted));
      for (const said of await recordsOf(lookup, wanted, { isFirst: depth === 0, signal })) {
        if (wanted.peerId !== undefined && said.peerId !== undefined && said.peerId !== wanted.peerId)
          continue;
        if ('name' in said) next.push({ ...wanted, ...said });
        else if (found.size < PLACES_LIMIT) found.set(`${said.peerId} ${said.address}`, said);
      }
    }
    level = next;
  }
  return [...found.values()];
}

async function recordsOf(
  lookup: NameLookup,
  { name }: DnsName,
  { isFirst, signal }: { readonly isFirst: boolean; readonly signal: AbortSignal },
): Promise<readonly (NamedPlace | DnsName)[]> {
  try {
    const records = await lookup.txt(`_dnsaddr.${name}`, signal);
    return records
      .toSorted()
      .slice(0, RECORDS_LIMIT)
      .map(parseDnsaddrRecord)
      .filter((said) => said !== undefined);
  } catch (error) {
    if (isFirst || signal.aborted) throw error;
    return []; // one of several names that somebody else keeps
  }
}

function keyOf({ name, peerId = '' as PeerId }: DnsName): string {
  return `${name.toLowerCase()} ${peerId}`;
}
