import { z } from 'zod';
import { AspenError, type Clock, type PeerId, type Random, type Timer } from '../../base/index.ts';
import {
  isQuicInitial,
  type Messenger,
  OBSERVE_METHODS,
  TOKEN_BYTES,
  type Transport,
} from '../../mesh/index.ts';
import { hostOf } from './net-rules.ts';
import type { Datagram, UdpPort, UdpSocket } from './udp-port.ts';

/** Ears that are open at once, one for each peer. */
export const EARS_LIMIT = 8;
/** How long one listens. Unit: ms. */
export const EAR_MS = 3_000;

const familySchema = z.union([z.literal(4), z.literal(6)]);
const kindSchema = z.union([
  familySchema.transform((family) => ({ family, isForQuic: false })),
  z.tuple([z.literal('quic'), familySchema]).transform(([, family]) => ({ family, isForQuic: true })),
]);
const tokenSchema = z.instanceof(Uint8Array).refine(({ length }) => length === TOKEN_BYTES);

export interface ObserverComponents {
  readonly messenger: Messenger;
  readonly transport: Pick<Transport, 'links'> & Partial<Pick<Transport, 'addresses'>>;
  readonly clock: Clock;
  readonly random: Random;
  readonly udp?: UdpPort | undefined;
}

interface Ear {
  readonly token: Uint8Array;
  socket: UdpSocket | undefined;
  timer: Timer | undefined;
  seen: readonly [host: string, port: number] | null;
}

/**
 * Tells members how they look from here.
 *
 * - O2 Nothing is ever answered by UDP: what was seen is told over the link that asked, so that nobody can use this node to send anything
 *   to a third. One ear for each peer, {@link EARS_LIMIT} in all, each for {@link EAR_MS}.
 */
export class Observer implements Disposable {
  readonly #components: ObserverComponents;
  readonly #ears = new Map<PeerId, Ear>();
  readonly #parts: readonly Disposable[];

  constructor(components: ObserverComponents) {
    this.#components = components;
    const { messenger, transport, clock } = components;
    this.#parts = [
      messenger.handle(OBSERVE_METHODS.observe, ({ from }) => {
        const link = transport.links().find(({ peerId }) => peerId === from);
        return [link?.address ?? null, clock.wallMs()];
      }),
      messenger.handle(OBSERVE_METHODS.listen, ({ from, body }) => this.#listen(from, body)),
      messenger.handle(OBSERVE_METHODS.seen, ({ from, body }) => this.#seen(from, body)),
    ];
  }

  [Symbol.dispose](): void {
    for (const part of this.#parts) part[Symbol.dispose]();
    for (const peerId of [...this.#ears.keys()]) this.#close(peerId);
  }

  async #listen(from: PeerId, body: unknown): Promise<unknown> {
    const { udp, random, clock } = this.#components;
    if (udp === undefined) throw new AspenError('UNAVAILABLE', 'there is no UDP here');
    const kind = kindSchema.safeParse(body).data;
    if (kind === undefined) throw new AspenError('INVALID_PARAMS', 'an ear is for family 4 or 6');
    this.#close(from);
    if (this.#ears.size >= EARS_LIMIT) {
      throw new AspenError('RESOURCE_EXHAUSTED', `${EARS_LIMIT} others are listened for already`, {
        details: { limit: 'EARS_LIMIT', retryAfterMs: EAR_MS },
      });
    }
    const ear: Ear = { token: random.bytes(TOKEN_BYTES), socket: undefined, timer: undefined, seen: null };
    this.#ears.set(from, ear);
    try {
      const isMeant = this.#meantFor(ear, { from, isForQuic: kind.isForQuic });
      const onDatagram = (datagram: Datagram) => {
        if (ear.seen === null && isMeant(datagram)) ear.seen = [datagram.host, datagram.port];
      };
      ear.socket = await udp.open(kind.family, onDatagram, this.#wantedPort());
    } catch (error) {
      if (this.#ears.get(from) === ear) this.#ears.delete(from);
      throw error;
    }
    if (this.#ears.get(from) !== ear)
      ear.socket[Symbol.dispose](); // asked again meanwhile, or stopped
    else ear.timer = clock.setTimer(EAR_MS, () => this.#close(from));
    return [ear.socket.port, ear.token];
  }

  /** The first datagram of a QUIC connection has no token: it has to come from the host that the link comes from. */
  #meantFor(ear: Ear, { from, isForQuic }: { from: PeerId; isForQuic: boolean }) {
    if (!isForQuic) return ({ bytes }: Datagram) => Buffer.compare(bytes, ear.token) === 0;
    const link = this.#components.transport.links().find(({ peerId }) => peerId === from);
    const linked = link?.path === 'direct' ? hostOf(link.address)?.host : undefined;
    return ({ host, bytes }: Datagram) => host === linked && isQuicInitial(bytes);
  }

  /** The number of the port that this node listens on by TCP: its owner can tell a firewall of that one. */
  #wantedPort(): number | undefined {
    const ports = (this.#components.transport.addresses?.() ?? []).map(
      (address) => /^\/ip[46]\/[^/]+\/tcp\/(\d{1,5})$/.exec(address)?.[1],
    );
    const port = Number(ports.find((each) => each !== undefined));
    return port >= 1_024 && port <= 65_535 ? port : undefined;
  }

  #seen(from: PeerId, body: unknown): unknown {
    const token = tokenSchema.safeParse(body).data;
    const ear = this.#ears.get(from);
    if (token === undefined || ear === undefined || Buffer.compare(token, ear.token) !== 0) return null;
    return ear.seen;
  }

  #close(peerId: PeerId): void {
    const ear = this.#ears.get(peerId);
    this.#ears.delete(peerId);
    ear?.timer?.cancel();
    ear?.socket?.[Symbol.dispose]();
  }
}
