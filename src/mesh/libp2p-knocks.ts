import type { Connection, Libp2p } from '@libp2p/interface';
import type { Clock, PeerId } from '../base/index.ts';
import { isPublicAddress } from './public-address.ts';
import { isFromElsewhere } from './reach-rules.ts';
import type { Knocking } from './transport.ts';

export interface KnocksComponents {
  readonly clock: Clock;
  /** Makes a new connection to one address. */
  readonly dial: (peerId: PeerId, addresses: readonly string[], signal: AbortSignal) => Promise<Connection>;
  readonly ownAddresses: () => readonly string[];
  /** Whether this node had a part in making a connection that came in. */
  readonly wasMadeHere: (connection: Connection) => boolean;
  readonly isMember: (peerId: Connection['remotePeer']) => boolean;
}

/** Own addresses that are remembered, those of former networks among them. */
const REACHED_LIMIT = 32;
/** Peers whose latest visit is remembered. */
const VISITS_LIMIT = 256;

/** Short connections that prove that somebody is reached: nothing goes over them, and the transport closes them. */
export class Libp2pKnocks implements Knocking {
  readonly #components: KnocksComponents;
  readonly #visits = new Map<PeerId, { readonly connection: Connection; readonly atMs: number }>();
  #also: readonly string[] = [];
  /** Where somebody came through. */
  #reached: readonly string[] = [];

  constructor(components: KnocksComponents) {
    this.#components = components;
  }

  /** Addresses that are told beside those of the interfaces. */
  get also(): readonly string[] {
    return this.#also;
  }

  tellAlso(addresses: readonly string[]): void {
    this.#also = [...addresses];
  }

  watch(node: Libp2p): void {
    node.addEventListener('connection:open', ({ detail }) => this.#note(detail));
  }

  async knock(peerId: PeerId, address: string, signal: AbortSignal): Promise<void> {
    await this.#components.dial(peerId, [address], signal);
  }

  /** E1: in another network, with other addresses, what was seen before says nothing. */
  get wasReached(): boolean {
    const own = this.#components.ownAddresses();
    return this.#reached.some((address) => own.includes(address));
  }

  markReached(addresses: readonly string[]): void {
    const all = new Set([...addresses.filter(isPublicAddress), ...this.#reached]);
    this.#reached = [...all].slice(0, REACHED_LIMIT);
  }

  /** Whether this node made the connection itself, by a hole, is known only after it was there. */
  knockedAtMs(peerId: PeerId): number | undefined {
    const visit = this.#visits.get(peerId);
    if (visit === undefined || this.#components.wasMadeHere(visit.connection)) return undefined;
    return visit.atMs;
  }

  /** E1 */
  #note(connection: Connection): void {
    const { clock, ownAddresses, isMember } = this.#components;
    const { direction, remotePeer, remoteAddr } = connection;
    const address = remoteAddr.toString();
    if (direction !== 'inbound' || !isMember(remotePeer) || address.includes('/p2p-circuit')) return;
    if (!isFromElsewhere(address, ownAddresses())) return;
    const peerId = remotePeer.toString() as PeerId;
    this.#visits.delete(peerId);
    const [oldest] = this.#visits.keys();
    if (oldest !== undefined && this.#visits.size >= VISITS_LIMIT) this.#visits.delete(oldest);
    this.#visits.set(peerId, { connection, atMs: clock.monotonicMs() });
  }
}
