import type { PeerId } from '../../base/index.ts';
import { isCircuit, isPublicAddress, type QuicState } from '../../mesh/index.ts';

/** From where a member saw datagrams of one local port come. */
export interface UdpObservation {
  readonly peerId: PeerId;
  /** Where the member itself was sent to. */
  readonly observerHost: string;
  /** Null when nothing arrived. */
  readonly seen: { readonly host: string; readonly port: number } | null;
}

/** Null: nobody can tell. */
export interface Judged {
  readonly isSo: boolean | null;
  /** For people: why, or what is missing to tell. */
  readonly detail: string;
}

/** Whether datagrams leave this node and arrive. */
export function judgeUdp(observations: readonly UdpObservation[]): Judged {
  if (observations.length === 0) {
    return { isSo: null, detail: 'unknown: no member is linked directly and able to listen for a datagram' };
  }
  const arrived = observations.filter(({ seen }) => seen !== null).length;
  if (arrived > 0)
    return { isSo: true, detail: `datagrams arrived at ${arrived} of ${observations.length} members` };
  return {
    isSo: false,
    detail: `no datagram arrived at any of ${observations.length} members: UDP is blocked here, or before all of them`,
  };
}

/**
 * Whether holes by QUIC can be made from here. No look makes one: what it goes by is the package, the links there are, and what became of
 * plain datagrams.
 * @param state undefined where links need no holes.
 */
export function judgeQuic(
  state: Pick<QuicState, 'isSo' | 'detail'> | undefined,
  { udp, links }: { readonly udp: Judged; readonly links: number },
): Judged {
  if (state === undefined) return { isSo: false, detail: 'links here need none' };
  if (!state.isSo) return { isSo: false, detail: state.detail };
  if (links > 0) return { isSo: true, detail: `${links} links go over it now` };
  if (udp.isSo === true)
    return { isSo: true, detail: `${state.detail}; ${udp.detail}, and no QUIC connection was tried` };
  if (udp.isSo === false) return { isSo: false, detail: `${state.detail}, but ${udp.detail}` };
  const untried = 'whether datagrams pass could not be tried, and no QUIC connection was';
  return { isSo: null, detail: `unknown: ${state.detail}; ${untried}` };
}

/** Whether the address outside depends on whom one speaks to, as behind a symmetric NAT: then no direct way can be made by hole punching. */
export function judgeMapping(observations: readonly UdpObservation[], localPort: number): Judged {
  const seen = observations.flatMap((each) =>
    each.seen === null ? [] : [{ ...each.seen, from: each.observerHost }],
  );
  const [first] = seen;
  if (first === undefined || new Set(seen.map(({ from }) => from)).size < 2) {
    return {
      isSo: null,
      detail: 'unknown: that takes two members at different addresses that datagrams arrive at',
    };
  }
  const places = new Set(seen.map(({ host, port }) => `${host} ${port}`));
  if (places.size > 1)
    return { isSo: true, detail: `seen as ${[...places].join(', ').replaceAll(' ', ' port ')}` };
  const kept = first.port === localPort ? ', the port is kept' : '';
  return {
    isSo: false,
    detail: `every one of ${seen.length} members saw ${first.host} port ${first.port}${kept}`,
  };
}

export interface SeenAs {
  readonly host: string;
  readonly isPublic: boolean;
  readonly members: number;
}

/** @returns the hosts that members see this node come from. Who is linked over a circuit sees the member that carries it, which tells nothing of this node. */
export function seenAs(addresses: readonly (string | null)[]): readonly SeenAs[] {
  const counts = new Map<string, { readonly isPublic: boolean; readonly members: number }>();
  for (const address of addresses) {
    const host = address === null || isCircuit(address) ? undefined : hostOf(address)?.host;
    if (address === null || host === undefined) continue;
    const known = counts.get(host) ?? { isPublic: isPublicAddress(address), members: 0 };
    counts.set(host, { ...known, members: known.members + 1 });
  }
  return [...counts].map(([host, counted]) => ({ host, ...counted }));
}

const PROXY_VARIABLES = ['HTTPS_PROXY', 'HTTP_PROXY', 'ALL_PROXY', 'NO_PROXY'] as const;

/** @returns what the environment says of proxies, either case, with secrets taken out. */
export function proxiesOf(
  environment: Readonly<Record<string, string | undefined>>,
): readonly { readonly variable: string; readonly value: string }[] {
  return PROXY_VARIABLES.flatMap((name) => {
    const variable = environment[name] === undefined ? name.toLowerCase() : name;
    const value = environment[variable];
    return value === undefined || value === '' ? [] : [{ variable, value: withoutSecrets(value) }];
  });
}

/** With a scheme or without, and whatever stands in the password. */
function withoutSecrets(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)?.*@/i, '$1***@');
}

/** @returns the host of a multiaddr; undefined when it names none. */
export function hostOf(address: string): { readonly host: string; readonly family: 4 | 6 } | undefined {
  const [, kind, host] = address.split('/');
  if (host === undefined || host === '') return undefined;
  if (kind === 'ip4') return { host, family: 4 };
  return kind === 'ip6' ? { host, family: 6 } : undefined;
}

/** How far ahead of ours a clock is that showed `theirWallMs` in an answer. Half of the round trip is what it may be off. Unit: ms. */
export function clockAheadMs(answer: {
  readonly askedWallMs: number;
  readonly rttMs: number;
  readonly theirWallMs: number;
}): number {
  return Math.round(answer.theirWallMs - (answer.askedWallMs + answer.rttMs / 2));
}
