import type { ComponentLogger, Logger as Libp2pLogger, PeerId as Libp2pPeerId } from '@libp2p/interface';
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr';
import { base32 } from 'multiformats/bases/base32';
import { AspenError, type Logger, type PeerId } from '../base/index.ts';
import type { RecordShelf } from './record-shelf.ts';

/** Under what the library keeps things; see its option `datastorePrefix`. */
const RECORDS = '/dht/record/';
const PROVIDERS = '/dht/provider/';

/** Of those that can be asked, so many are told at once: an answer has a bounded length. */
const PROVIDERS_TOLD = 16;

interface Key {
  toString(): string;
}

interface PeerStoreParts {
  readonly known: (peerId: PeerId) => readonly string[];
  readonly tell: (peerId: PeerId, addresses: readonly string[]) => void;
}

/** What the table asks of libp2p's peer store: where somebody is. Tags and protocols are nobody's business here. */
export function tablePeerStore({ known, tell }: PeerStoreParts) {
  const addressesOf = (peer: Libp2pPeerId): Multiaddr[] => {
    const addresses = known(peer.toString() as PeerId).flatMap(asMultiaddr);
    if (addresses.length === 0) throw notFound(`no address of ${peer.toString()}`);
    return addresses;
  };
  return {
    get: async (id: Libp2pPeerId) => ({
      id,
      addresses: addressesOf(id).map((address) => ({ multiaddr: address, isCertified: false })),
      protocols: [],
      metadata: new Map(),
      tags: new Map(),
    }),
    getInfo: async (id: Libp2pPeerId) => ({ id, multiaddrs: addressesOf(id) }),
    merge: async (peer: Libp2pPeerId, { multiaddrs = [] }: { readonly multiaddrs?: readonly Multiaddr[] }) =>
      tell(peer.toString() as PeerId, multiaddrs.map(String)),
    all: async () => [],
  };
}

interface DatastoreParts {
  readonly shelf: RecordShelf;
  /** Whoever has no address is not told of: nobody could ask it. */
  readonly known: (peerId: PeerId) => readonly string[];
  /** Of the one name that providers are kept for. */
  readonly meshDigest: Uint8Array;
}

/** What the table asks of libp2p's datastore, on the shelf: records, and who can be asked about this mesh and no other name. */
export function tableDatastore({ shelf, known, meshDigest }: DatastoreParts) {
  const ofMesh = `${PROVIDERS}${base32.baseEncode(meshDigest)}/`;
  const providerOf = (key: string) =>
    key.startsWith(ofMesh) ? (key.slice(ofMesh.length) as PeerId) : undefined;
  return {
    put: async (key: Key, value: Uint8Array) => {
      const text = key.toString();
      const provider = providerOf(text);
      if (provider !== undefined) shelf.putProvider(provider, value);
      else if (text.startsWith(RECORDS)) shelf.put(text, value);
    },
    get: async (key: Key) => {
      const found = shelf.get(key.toString());
      if (found === undefined) throw notFound(key.toString());
      return found;
    },
    delete: async (key: Key) => {
      const provider = providerOf(key.toString());
      if (provider === undefined) shelf.delete(key.toString());
      else shelf.deleteProvider(provider);
    },
    async *query({ prefix }: { readonly prefix?: string }) {
      if (prefix === undefined || !`${prefix}/`.startsWith(ofMesh)) return;
      const told = shelf.providers().filter(([peerId]) => known(peerId).flatMap(asMultiaddr).length > 0);
      for (const [peerId, value] of told.slice(0, PROVIDERS_TOLD))
        yield { key: { toString: () => ofMesh + peerId }, value };
    },
  };
}

/** The library's words, for whoever looks closely. */
export function libp2pLogger(log: Logger): ComponentLogger {
  const silent = () => undefined;
  const make = (): Libp2pLogger =>
    Object.assign(silent, {
      enabled: false,
      trace: silent,
      error: (format: string, ...args: unknown[]) =>
        log.debug({ format, args: args.map(String) }, 'kademlia'),
      newScope: make,
    }) as unknown as Libp2pLogger;
  return { forComponent: make };
}

function asMultiaddr(address: string): Multiaddr[] {
  try {
    return [multiaddr(address)];
  } catch {
    return []; // told by somebody in words that are none
  }
}

/** The library looks at the name. */
function notFound(what: string): Error {
  return Object.assign(new AspenError('NOT_FOUND', what), { name: 'NotFoundError' });
}
