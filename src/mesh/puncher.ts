import { AspenError, type Clock, type Logger, type PeerId, Tasks } from '../base/index.ts';
import { isCircuit } from './circuit-address.ts';
import type { Messenger } from './messenger.ts';
import { isPublicAddress } from './public-address.ts';
import type { Hole, PeerLink, Transport } from './transport.ts';
import { isQuic } from './udp-hole-rules.ts';
import { isWebSocket } from './ws-address.ts';

export interface PuncherComponents {
  readonly transport: Transport;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly log: Logger;
}

const METHOD = 'mesh.punch';
const ASK_TIMEOUT_MS = 8_000;
/** A peer may ask once in this time. Unit: ms. */
const ASKED_EVERY_MS = 2_000;
const ASKED_PEERS_LIMIT = 1_024;
const MAPPED_ADDRESS = /^\/ip[46]\/[0-9a-fA-F.:]{2,45}\/tcp\/\d{1,5}$/;

/**
 * Two peers behind two address translators open a TCP connection to each other at the same moment: each one's first packet opens its own
 * translator for the other one's. Each asks a member that it reaches directly which address it is seen under, from a port that it uses again.
 *
 * - U1 Only peers that are linked over a circuit do so, the smaller peer id begins, and one hole at a time is made for a peer.
 *
 * Whom the hole leads to is proved by the handshake on it, like on any other connection.
 */
export class Puncher implements Disposable {
  readonly #components: PuncherComponents;
  readonly #log: Logger;
  readonly #tasks: Tasks;
  readonly #askedMs = new Map<PeerId, number>();
  readonly #handling: Disposable;

  constructor(components: PuncherComponents) {
    this.#components = components;
    this.#log = components.log.child({ part: 'puncher' });
    this.#tasks = new Tasks((err) => this.#log.error({ err }, 'a hole failed in an unknown way'));
    this.#handling = components.messenger.handle(METHOD, ({ from, body }) => this.#onAsked(from, body));
  }

  [Symbol.dispose](): void {
    this.#handling[Symbol.dispose]();
  }

  async stop(): Promise<void> {
    await this.#tasks.stop();
  }

  /** U1 */
  begins(peerId: PeerId): boolean {
    return this.#components.transport.self < peerId;
  }

  /**
   * Moves the link to a direct path.
   * @throws AspenError UNAVAILABLE when there is nobody to ask or the translators do not let it through; as a request otherwise.
   */
  async punch(peerId: PeerId, signal: AbortSignal): Promise<void> {
    const { messenger } = this.#components;
    const hole = await this.#hole(peerId, signal);
    try {
      const body = { address: hole.address };
      const answer = await messenger.request(peerId, METHOD, body, { timeoutMs: ASK_TIMEOUT_MS, signal });
      await hole.through(peerId, addressIn(answer), { isInitiator: true, signal });
    } finally {
      hole[Symbol.dispose]();
    }
  }

  async #onAsked(from: PeerId, body: unknown): Promise<{ readonly address: string }> {
    const address = addressIn(body);
    const { clock, transport } = this.#components;
    const link = transport.links().find(({ peerId }) => peerId === from);
    const nowMs = clock.monotonicMs();
    if (link?.path !== 'relay') throw noHole(from, 'it is not linked over a circuit'); // U1
    if (nowMs - (this.#askedMs.get(from) ?? Number.NEGATIVE_INFINITY) < ASKED_EVERY_MS)
      throw noHole(from, 'it asked a moment ago');
    if (this.#askedMs.size >= ASKED_PEERS_LIMIT) this.#askedMs.clear();
    this.#askedMs.set(from, nowMs);
    const hole = await this.#hole(from, this.#tasks.signal);
    this.#tasks.run(async (signal) => {
      try {
        await hole.through(from, address, { isInitiator: false, signal });
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        this.#log.debug({ err, peerId: from }, 'no hole was punched');
      } finally {
        hole[Symbol.dispose]();
      }
    });
    return { address: hole.address };
  }

  async #hole(peerId: PeerId, signal: AbortSignal): Promise<Hole> {
    const { transport } = this.#components;
    const { reach } = transport;
    const observer = transport.links().find(isPlainAndPublic);
    if (reach === undefined || observer === undefined)
      throw noHole(peerId, 'no member with a public address is linked to ask');
    return await reach.openHole(observer.peerId, signal);
  }
}

/** Where only a WebSocket leads out, or a proxy, what is seen there is not what a hole would need; who is linked by QUIC sits behind a router itself. */
function isPlainAndPublic({ path, address }: PeerLink): boolean {
  const isPlain = !isCircuit(address) && !isWebSocket(address) && !isQuic(address);
  return path === 'direct' && isPublicAddress(address) && isPlain;
}

/** @throws AspenError INVALID_PARAMS */
function addressIn(body: unknown): string {
  const address = typeof body === 'object' && body !== null && 'address' in body ? body.address : undefined;
  if (typeof address !== 'string' || !MAPPED_ADDRESS.test(address))
    throw new AspenError('INVALID_PARAMS', `${METHOD}: not an address`);
  return address;
}

function noHole(peerId: PeerId, why: string): AspenError {
  return new AspenError('UNAVAILABLE', `no hole towards ${peerId}: ${why}`, { outcome: 'not-applied' });
}
