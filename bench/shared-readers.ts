import type { PeerId } from '../src/base/index.ts';
import { PLAIN_READERS, type RegistryReaders } from '../src/crdt/index.ts';
import { type Certificate, readCertificate } from '../src/mesh/index.ts';

type Entry = NonNullable<ReturnType<RegistryReaders['entry']>>;
type Verify = (peerId: PeerId, bytes: Uint8Array, signature: Uint8Array) => boolean;

/** At least so many of the latest entries are known again, and twice as many gossip messages as are ever on the way. */
const ENTRIES_KEPT = 50_000;
const MESSAGES_KEPT = 4_096;

/**
 * What simulated nodes read, once for all of them: each is given what the agent's own reader made of the same bytes when the first of them read it.
 * So a thousand nodes hold a thousand references where each would hold a copy of its own, and nothing that a node does is another.
 */
export class SharedReaders implements RegistryReaders {
  readonly #items = new WeakMap<object, { readonly entry: Entry | undefined }>();
  readonly #entries = new LatestByText<Entry>(ENTRIES_KEPT);
  readonly #messages = new LatestByText<ReturnType<RegistryReaders['gossip']>>(MESSAGES_KEPT);
  readonly #signatures = new WeakMap<Uint8Array, { readonly bytes: Uint8Array; readonly isGood: boolean }>();
  readonly #keys = new Map<PeerId, Uint8Array>();

  readonly profile = ofSame(PLAIN_READERS.profile);
  readonly heartbeat = ofSame(PLAIN_READERS.heartbeat);
  readonly certificate: (foreign: unknown) => Certificate | undefined = ofSameBytes(readCertificate);

  readonly gossip: RegistryReaders['gossip'] = (bytes) =>
    this.#messages.get(textOf(bytes), () => PLAIN_READERS.gossip(bytes));

  readonly entry: RegistryReaders['entry'] = (foreign) => {
    if (typeof foreign !== 'object' || foreign === null) return PLAIN_READERS.entry(foreign);
    const known = this.#items.get(foreign);
    if (known !== undefined) return known.entry;
    const entry = this.#oneOf(PLAIN_READERS.entry(foreign));
    this.#items.set(foreign, { entry });
    return entry;
  };

  /** @returns `verify`, which is not asked again about the bytes and the signature that it was asked about. */
  verifier(
    verify: (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array) => boolean,
    keyOf: (peerId: PeerId) => Uint8Array,
  ): Verify {
    return (peerId, bytes, signature) => {
      const known = this.#signatures.get(signature);
      if (known !== undefined && Buffer.compare(known.bytes, bytes) === 0) return known.isGood; // they name who signed
      const key = this.#keys.get(peerId) ?? keyOf(peerId);
      this.#keys.set(peerId, key);
      const isGood = verify(key, bytes, signature);
      this.#signatures.set(signature, { bytes, isGood });
      return isGood;
    };
  }

  #oneOf(entry: Entry | undefined): Entry | undefined {
    if (entry === undefined) return undefined;
    const known = this.#entries.get(textOf(entry.signature), () => entry);
    return isSame(known, entry) ? known : entry;
  }
}

/** Keeps the latest, in two generations. */
class LatestByText<T> {
  readonly #kept: number;
  #young = new Map<string, T>();
  #old = new Map<string, T>();

  constructor(kept: number) {
    this.#kept = kept;
  }

  get(text: string, make: () => T): T {
    const known = this.#young.get(text);
    if (known !== undefined) return known;
    const value = this.#old.get(text) ?? make();
    this.#young.set(text, value);
    if (this.#young.size >= this.#kept) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    return value;
  }
}

/** What is read of one and the same object is read once. */
function ofSame<T>(read: (bytes: Uint8Array) => T): (bytes: Uint8Array) => T {
  const values = new WeakMap<Uint8Array, { readonly value: T }>();
  return (bytes) => {
    const known = values.get(bytes) ?? { value: read(bytes) };
    values.set(bytes, known);
    return known.value;
  };
}

function ofSameBytes<T>(read: (foreign: unknown) => T): (foreign: unknown) => T {
  const ofBytes = ofSame<T>(read);
  return (foreign) => (foreign instanceof Uint8Array ? ofBytes(foreign) : read(foreign));
}

/** A signature covers all of an entry; whoever forges one shall not change what others read. */
function isSame(left: Entry, right: Entry): boolean {
  if (left === right) return true;
  const isSameValue =
    left.value === undefined || right.value === undefined
      ? left.value === right.value
      : Buffer.compare(left.value, right.value) === 0;
  return (
    isSameValue &&
    left.owner === right.owner &&
    left.incarnation === right.incarnation &&
    left.key === right.key &&
    left.wallMs === right.wallMs &&
    left.counter === right.counter &&
    Buffer.compare(left.signature, right.signature) === 0
  );
}

function textOf({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer as ArrayBuffer, byteOffset, length).toString('latin1');
}
