import { AspenError, type Logger, type PeerId } from '../base/index.ts';
import type { Candidate } from '../discovery/index.ts';
import { isPeerId } from './identity.ts';
import type { Messenger } from './messenger.ts';
import type { Transport } from './transport.ts';

export interface PeerExchangeComponents {
  readonly transport: Transport;
  readonly messenger: Messenger;
  readonly log: Logger;
  /** Where this node can be reached. */
  readonly addresses: () => readonly string[];
  /** Told of every candidate; `isSelfReport` when the linked peer speaks of itself. */
  readonly onCandidate: (candidate: Candidate, isSelfReport: boolean) => void;
}

interface Told {
  readonly peerId: PeerId;
  readonly addresses: readonly string[];
}

const METHOD = 'mesh.peers';
/** Most peers in one message. */
const PEERS_LIMIT = 64;
/** Whoever is told of a new address at once, out of those linked here; in a large mesh the registry tells the others. */
const TOLD_LIMIT = 24;
const ADDRESSES_LIMIT = 16;
const ADDRESS_CHARACTERS_LIMIT = 256;

/**
 * Linked members tell each other where they and the members they know can be reached: who dialed in says where it listens, and
 * one address that still answers leads to all the others. What is told are hints; nothing is believed but the handshake.
 */
export class PeerExchange implements Disposable {
  readonly #transport: Transport;
  readonly #messenger: Messenger;
  readonly #log: Logger;
  readonly #addresses: PeerExchangeComponents['addresses'];
  readonly #onCandidate: PeerExchangeComponents['onCandidate'];
  /** What linked peers said of themselves. */
  readonly #reports = new Map<PeerId, readonly string[]>();
  readonly #subscriptions: readonly Disposable[];

  constructor({ transport, messenger, log, addresses, onCandidate }: PeerExchangeComponents) {
    this.#transport = transport;
    this.#messenger = messenger;
    this.#log = log;
    this.#addresses = addresses;
    this.#onCandidate = onCandidate;
    this.#subscriptions = [
      messenger.handle(METHOD, ({ from, body }) => this.#hear(from, body)),
      transport.onLink(({ peerId, type }) => {
        if (type === 'opened') this.#introduce(peerId);
        else this.#reports.delete(peerId);
      }),
    ];
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
  }

  #introduce(peerId: PeerId): void {
    const others = [...this.#reports].filter(([other]) => other !== peerId).slice(0, PEERS_LIMIT - 1);
    this.#tell(peerId, [this.#own(), ...others.map(([other, addresses]) => ({ peerId: other, addresses }))]);
  }

  /** Tells those linked here that this node can be reached elsewhere now. */
  announce(): void {
    for (const { peerId } of this.#transport.links().slice(0, PEERS_LIMIT)) this.#tell(peerId, [this.#own()]);
  }

  #own(): Told {
    return { peerId: this.#transport.self, addresses: this.#addresses() };
  }

  #tell(to: PeerId, peers: readonly Told[]): void {
    const body = peers.map(({ peerId, addresses }) => [peerId, addresses.slice(0, ADDRESSES_LIMIT)]);
    this.#messenger.send(to, METHOD, body);
  }

  #hear(from: PeerId, body: unknown): void {
    for (const told of readPeers(body)) {
      if (told.peerId === this.#transport.self) continue;
      const isSelfReport = told.peerId === from;
      if (isSelfReport) this.#passOn(told);
      this.#onCandidate({ ...told, source: 'exchange' }, isSelfReport);
    }
  }

  /** A report goes one step further: from whom it is about to those linked here. */
  #passOn(report: Told): void {
    const known = this.#reports.get(report.peerId);
    if (known?.join() === report.addresses.join() || !this.#transport.isLinked(report.peerId)) return;
    this.#reports.set(report.peerId, report.addresses);
    for (const { peerId } of this.#transport.links().slice(0, TOLD_LIMIT)) {
      if (peerId !== report.peerId) this.#tell(peerId, [report]);
    }
    this.#log.debug({ ...report }, 'a peer told where it can be reached');
  }
}

/** @throws AspenError INVALID_PARAMS */
function readPeers(body: unknown): readonly Told[] {
  if (!Array.isArray(body) || body.length > PEERS_LIMIT) throw malformed();
  return body.map((item) => {
    const [peerId, addresses] = Array.isArray(item) ? item : [];
    if (!isPeerId(peerId) || !Array.isArray(addresses) || addresses.length > ADDRESSES_LIMIT)
      throw malformed();
    if (!addresses.every(isAddress)) throw malformed();
    return { peerId, addresses };
  });
}

function isAddress(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith('/') && value.length <= ADDRESS_CHARACTERS_LIMIT;
}

function malformed(): AspenError {
  return new AspenError('INVALID_PARAMS', `${METHOD}: malformed list of peers`);
}
