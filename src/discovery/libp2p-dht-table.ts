import type {
  Connection,
  PeerId as Libp2pPeerId,
  PeerInfo,
  Startable,
  Stream,
  StreamHandler,
  TypedEventTarget,
} from '@libp2p/interface';
import { type KadDHT, type KadDHTComponents, kadDHT, type QueryEvent } from '@libp2p/kad-dht';
import { peerIdFromString } from '@libp2p/peer-id';
import { multiaddr } from '@multiformats/multiaddr';
import { CID } from 'multiformats/cid';
import * as raw from 'multiformats/codecs/raw';
import { create as multihash } from 'multiformats/hashes/digest';
import { invariant, type Logger, type PeerId } from '../base/index.ts';
import type { AddressHints } from './address-hints.ts';
import { libp2pLogger, tableDatastore, tablePeerStore } from './libp2p-dht-stores.ts';
import type { RecordShelf } from './record-shelf.ts';
import type { Contact } from './ticket-source.ts';

/** How the table speaks with members; only they are let through, either way. */
export interface TableStreams {
  /** Answers until disposed. */
  serve(handler: (stream: Stream, connection: Connection) => void | Promise<void>): Promise<AsyncDisposable>;
  /** @throws when it is not reached, is no member, or does not answer for the table. */
  open(peerId: PeerId, signal: AbortSignal): Promise<Stream>;
  /** As {@link open}, for somebody of whom it is only asked whether it answers: of no great worth. */
  probe(peerId: PeerId, signal: AbortSignal): Promise<Stream>;
}

export interface DhtTableComponents {
  readonly streams: TableStreams;
  readonly shelf: RecordShelf;
  readonly hints: AddressHints;
  /** What is known of a peer from elsewhere, the best first. */
  readonly addressesOf: (peerId: PeerId) => readonly string[];
  readonly ownAddresses: () => readonly string[];
  /** @throws when a record does not hold, or a later one was seen. */
  readonly checkRecord: (name: string, record: Uint8Array) => void;
  readonly log: Logger;
}

export interface DhtTableOptions {
  readonly self: PeerId;
  /** Under what the members that can be asked are found, 32 bytes. */
  readonly meshName: Uint8Array;
}

/** How many members keep a record, and how many answer for one part of the names. */
export const REPLICAS = 8;
/** Members asked at once in one search. */
const ALPHA = 3;
const ADDRESSES_LIMIT = 8;
const NAMESPACE = 'aspen';
const SHA2_256 = 0x12;
/** How long a member may take to show that it answers. Unit: ms. */
const PROBE_MS = 5_000;
/** So many answers with a record are enough to take the latest of them. */
const ANSWERS_WANTED = 3;
/** Longer than any timer there is would be at once. Unit: ms. */
const NEVER_MS = 2 ** 31 - 1;

interface RoutingTable {
  readonly size: number;
  find(peer: Libp2pPeerId): Promise<Libp2pPeerId | undefined>;
  remove(peer: Libp2pPeerId): Promise<void>;
  queueRoutingTableUpdate(peer: Libp2pPeerId, options: { readonly activeTimeout: number }): void;
}

/** What the library's class has beside the interface that it is published under. */
type Table = KadDHT &
  Startable &
  TypedEventTarget<{ peer: CustomEvent<PeerInfo> }> & { readonly routingTable: RoutingTable };

/** Its own rounds, which are ours here, and by our clock. */
interface Insides {
  querySelf: unknown;
  routingTableRefresh: unknown;
  reprovider: unknown;
  routingTable: { closestPeerTagger: unknown };
}

/**
 * libp2p's Kademlia without libp2p around it: it gets streams, memory and addresses from us, and nothing from the node. None of its rounds
 * run: what they do is asked for, so that an idle table costs what its owner decides.
 */
export class DhtTable {
  readonly #components: DhtTableComponents;
  readonly #meshCid: CID;
  readonly #dht: Table;
  #served: AsyncDisposable | undefined;

  constructor(components: DhtTableComponents, { self, meshName }: DhtTableOptions) {
    this.#components = components;
    this.#meshCid = CID.createV1(raw.code, multihash(SHA2_256, meshName));
    this.#dht = withoutRounds(
      kadDHT({
        protocol: '/aspen/table/1', // never on the wire: streams are opened and answered under a name of the transport
        clientMode: true, // explicit: by default it would look at the addresses of the node
        allowQueryWithZeroPeers: true,
        kBucketSize: REPLICAS,
        alpha: ALPHA,
        disjointPaths: ALPHA,
        routingTableUpdateMaxQueueSize: 64,
        pingNewContactConcurrency: ALPHA,
        pingNewContactMaxQueueSize: 64,
        pingOldContactConcurrency: ALPHA,
        pingOldContactMaxQueueSize: 64,
        querySelfInterval: NEVER_MS,
        peerInfoMapper: (peer) => ({ ...peer, multiaddrs: peer.multiaddrs.slice(0, ADDRESSES_LIMIT) }),
        validators: {
          [NAMESPACE]: async (key, value) => components.checkRecord(nameOf(key), value),
          pk: async () => {
            throw new Error('public keys are not kept here');
          },
        },
        selectors: { [NAMESPACE]: () => 0 },
      })(this.#parts(self)) as unknown as Table,
    );
    this.#dht.addEventListener('peer', ({ detail }) =>
      components.hints.tell(detail.id.toString() as PeerId, detail.multiaddrs.map(String)),
    );
  }

  /** Members known to answer. */
  get size(): number {
    return this.#dht.routingTable.size;
  }

  get isServing(): boolean {
    return this.#dht.getMode() === 'server';
  }

  async start(): Promise<void> {
    await this.#dht.start();
  }

  async stop(): Promise<void> {
    await this.#dht.stop();
    await this.#unserve();
  }

  /** Whether this node answers others and keeps records for them. */
  async serve(isServing: boolean): Promise<void> {
    await this.#dht.setMode(isServing ? 'server' : 'client');
  }

  /** A member that may answer: it is asked, and taken in if it does. */
  consider(peerId: PeerId): void {
    this.#dht.routingTable.queueRoutingTableUpdate(peerIdFromString(peerId), { activeTimeout: PROBE_MS });
  }

  async knows(peerId: PeerId): Promise<boolean> {
    return (await this.#dht.routingTable.find(peerIdFromString(peerId))) !== undefined;
  }

  /** It did not answer: it is not asked again before it is considered anew. */
  async drop(peerId: PeerId): Promise<void> {
    await this.#dht.routingTable.remove(peerIdFromString(peerId));
  }

  /** @returns how many members keep it now. */
  async put(name: string, record: Uint8Array, signal: AbortSignal): Promise<number> {
    let count = 0;
    for await (const event of this.#dht.put(keyOf(name), record, { signal })) {
      if (event.name === 'PEER_RESPONSE' && event.messageName === 'PUT_VALUE') count += 1;
    }
    return count;
  }

  /**
   * Ends with the first answers that bring a record; what the library would do then, correcting whoever gave an older one, would fail with
   * any of them that does not let itself be corrected.
   * @returns records that hold, of several members.
   */
  async find(name: string, signal: AbortSignal): Promise<readonly Uint8Array[]> {
    const found: Uint8Array[] = [];
    try {
      for await (const event of this.#dht.get(keyOf(name), { signal })) {
        if (event.name === 'VALUE') found.push(event.value);
        else if (event.name === 'PEER_RESPONSE' && event.record !== undefined) found.push(event.record.value);
        if (found.length >= ANSWERS_WANTED) break;
      }
    } catch (error) {
      if (found.length === 0) throw error;
    }
    return found;
  }

  /** Says that this node can be asked about the mesh. */
  async provide(signal: AbortSignal): Promise<void> {
    await drained(this.#dht.provide(this.#meshCid, { signal }));
  }

  /** @returns members that said so, as others tell. */
  async members(signal: AbortSignal): Promise<readonly Contact[]> {
    const found = new Map<PeerId, Contact>();
    for await (const event of this.#dht.findProviders(this.#meshCid, { signal })) {
      if (event.name !== 'PROVIDER') continue;
      for (const { id, multiaddrs } of event.providers) {
        const peerId = id.toString() as PeerId;
        if (multiaddrs.length > 0) found.set(peerId, { peerId, addresses: multiaddrs.map(String) });
      }
    }
    return [...found.values()];
  }

  /** Learns who else answers, those with names like one's own before all. */
  async refresh(self: PeerId, signal: AbortSignal): Promise<void> {
    await drained(this.#dht.getClosestPeers(peerIdFromString(self).toMultihash().bytes, { signal }));
  }

  async #unserve(): Promise<void> {
    await this.#served?.[Symbol.asyncDispose]();
    this.#served = undefined;
  }

  /** What the library asks of a node, and no more than that. */
  #parts(self: PeerId): KadDHTComponents {
    const { streams, shelf, hints, addressesOf, ownAddresses, log } = this.#components;
    const known = (peerId: PeerId) => {
      const elsewhere = peerId === self ? ownAddresses() : addressesOf(peerId);
      return elsewhere.length > 0 ? elsewhere : hints.of(peerId);
    };
    const parts = {
      peerId: peerIdFromString(self),
      logger: libp2pLogger(log),
      events: new EventTarget(),
      addressManager: { getAddresses: () => ownAddresses().map((address) => multiaddr(address)) },
      peerStore: tablePeerStore({ known, tell: (peerId, addresses) => hints.tell(peerId, addresses) }),
      datastore: tableDatastore({ shelf, known, meshDigest: this.#meshCid.multihash.bytes }),
      connectionManager: {
        openStream: (peer: { toString(): string }, _protocol: string, options: { signal?: AbortSignal }) =>
          streams.open(peer.toString() as PeerId, options.signal ?? AbortSignal.timeout(PROBE_MS)),
        isDialable: async (addresses: readonly unknown[]) => addresses.length > 0,
      },
      ping: {
        ping: async (peer: { toString(): string }, options: { signal?: AbortSignal } = {}) => {
          const signal = options.signal ?? AbortSignal.timeout(PROBE_MS);
          const stream = await streams.probe(peer.toString() as PeerId, signal);
          stream.abort(new Error('it answers, that was the question'));
          return 0;
        },
      },
      registrar: {
        handle: async (_protocol: string, handler: StreamHandler) => {
          await this.#unserve();
          this.#served = await streams.serve(handler);
        },
        unhandle: () => this.#unserve(),
        register: async () => '1', // links are told by us
        unregister: () => undefined,
      },
    };
    return parts as unknown as KadDHTComponents;
  }
}

function withoutRounds(dht: Table): Table {
  const insides = dht as unknown as Insides;
  const parts = [insides.querySelf, insides.routingTableRefresh, insides.reprovider];
  invariant(
    parts.every((part) => typeof part === 'object') &&
      typeof insides.routingTable.closestPeerTagger === 'object',
    () => 'the Kademlia table of libp2p is not built as it was: look at its rounds again',
  );
  const idle = { start: () => undefined, stop: () => undefined };
  insides.querySelf = idle;
  insides.routingTableRefresh = idle;
  insides.reprovider = idle;
  insides.routingTable.closestPeerTagger = idle;
  return dht;
}

/** The library chooses how to check a record by what stands between the first two slashes. */
function keyOf(name: string): Uint8Array {
  return new TextEncoder().encode(`/${NAMESPACE}/${name}`);
}

function nameOf(key: Uint8Array): string {
  return new TextDecoder().decode(key).slice(NAMESPACE.length + 2);
}

async function drained(events: AsyncIterable<QueryEvent>): Promise<void> {
  for await (const _event of events) {
    // each is a step of a search that is wanted for what it leaves behind
  }
}
