import { z } from 'zod';
import { AspenError, type Clock, type PeerId, sleep } from '../../base/index.ts';
import {
  type Messenger,
  OBSERVE_METHODS,
  type PeerLink,
  TOKEN_BYTES,
  type Transport,
} from '../../mesh/index.ts';
import { clockAheadMs, hostOf, type UdpObservation } from './net-rules.ts';
import type { UdpPort } from './udp-port.ts';

export interface AskComponents {
  readonly messenger: Messenger;
  readonly transport: Pick<Transport, 'links'>;
  readonly clock: Clock;
  readonly udp?: UdpPort | undefined;
}

/** How this node looks to one member. */
export interface Observation {
  readonly peerId: PeerId;
  /** Where the link comes from, as the member sees it; null when it does not say. */
  readonly address: string | null;
  readonly path: PeerLink['path'];
  readonly rttMs: number;
  readonly clockAheadMs: number;
}

export interface UdpProbe {
  readonly localPort: number | null;
  readonly observations: readonly UdpObservation[];
}

/** Members that are asked: of more, the nearest. */
const OBSERVERS_LIMIT = 8;
const UDP_OBSERVERS_LIMIT = 4;
const ASK_MS = 3_000;
/** A datagram may be lost: so many are sent, and so often it is asked whether one came. */
const DATAGRAMS = 3;
const SEEN_TRIES = 5;
const SEEN_PAUSE_MS = 150;

const observedSchema = z.tuple([z.string().max(256).nullable(), z.number().finite()]);
const earSchema = z.tuple([
  z.int().min(1).max(65_535),
  z.instanceof(Uint8Array).refine(({ length }) => length === TOKEN_BYTES),
]);
const seenSchema = z.tuple([z.string().max(64), z.int().min(0).max(65_535)]).nullable();

/** Asks linked members how this node looks to them. Whoever does not answer in time, or not as it should, is left out. */
export async function observeSelf(components: AskComponents): Promise<readonly Observation[]> {
  const links = nearest(components.transport.links()).slice(0, OBSERVERS_LIMIT);
  const asked = await Promise.all(links.map((link) => unlessRefused(() => observeBy(components, link))));
  return asked.filter((observation) => observation !== undefined);
}

async function observeBy(
  { messenger, clock }: AskComponents,
  { peerId, path }: PeerLink,
): Promise<Observation> {
  const askedWallMs = clock.wallMs();
  const startedMs = clock.monotonicMs();
  const answer = await messenger.request(peerId, OBSERVE_METHODS.observe, null, { timeoutMs: ASK_MS });
  const rttMs = clock.monotonicMs() - startedMs;
  const [address, theirWallMs] = checked(observedSchema, answer);
  return { peerId, address, path, rttMs, clockAheadMs: clockAheadMs({ askedWallMs, rttMs, theirWallMs }) };
}

/** Sends datagrams from one local port to members that are linked directly, and asks them from where they came. */
export async function probeUdp(components: AskComponents): Promise<UdpProbe> {
  const { udp, transport } = components;
  const { family, targets } = targetsAmong(transport.links());
  if (udp === undefined || targets.length === 0) return { localPort: null, observations: [] };
  using socket = await udp.open(family, () => undefined);
  const probe = { family, send: socket.send };
  const asked = await Promise.all(
    targets.map((target) => unlessRefused(() => probeBy(components, target, probe))),
  );
  return { localPort: socket.port, observations: asked.filter((each) => each !== undefined) };
}

interface Target {
  readonly peerId: PeerId;
  readonly host: string;
}

type Family = 4 | 6;
type Send = (datagram: { readonly host: string; readonly port: number; readonly bytes: Uint8Array }) => void;

async function probeBy(
  { messenger, clock }: AskComponents,
  { peerId, host }: Target,
  { family, send }: { readonly family: Family; readonly send: Send },
): Promise<UdpObservation> {
  const ask = (method: string, body: unknown) =>
    messenger.request(peerId, method, body, { timeoutMs: ASK_MS });
  const [port, token] = checked(earSchema, await ask(OBSERVE_METHODS.listen, family));
  for (let count = 0; count < DATAGRAMS; count += 1) send({ host, port, bytes: token });
  for (let count = 0; count < SEEN_TRIES; count += 1) {
    await sleep(clock, SEEN_PAUSE_MS);
    const seen = checked(seenSchema, await ask(OBSERVE_METHODS.seen, token));
    if (seen !== null) return { peerId, observerHost: host, seen: { host: seen[0], port: seen[1] } };
  }
  return { peerId, observerHost: host, seen: null };
}

/** By IPv4 where a member is linked by that, since it is what NATs are about. */
function targetsAmong(links: readonly PeerLink[]): {
  readonly family: Family;
  readonly targets: readonly Target[];
} {
  const targets = distinctHosts(links, 4);
  return targets.length > 0 ? { family: 4, targets } : { family: 6, targets: distinctHosts(links, 6) };
}

/** Members at different addresses first: those tell more. */
function distinctHosts(links: readonly PeerLink[], family: Family): readonly Target[] {
  const direct = nearest(links.filter(({ path }) => path === 'direct')).flatMap(({ peerId, address }) => {
    const at = hostOf(address);
    return at?.family === family ? [{ peerId, host: at.host }] : [];
  });
  const firsts = direct.filter(
    ({ host }, place) => direct.findIndex((other) => other.host === host) === place,
  );
  const others = direct.filter((target) => !firsts.includes(target));
  return [...firsts, ...others].slice(0, UDP_OBSERVERS_LIMIT);
}

function nearest(links: readonly PeerLink[]): readonly PeerLink[] {
  return links.toSorted((left, right) => (left.rttMs ?? Infinity) - (right.rttMs ?? Infinity) || 0);
}

async function unlessRefused<T>(ask: () => Promise<T>): Promise<T | undefined> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    return undefined; // an older version, or it went away: one observer less
  }
}

function checked<T>(schema: z.ZodType<T>, foreign: unknown): T {
  const { data, success } = schema.safeParse(foreign);
  if (!success) throw new AspenError('INVALID_REQUEST', 'a member answers in an unknown way');
  return data;
}
