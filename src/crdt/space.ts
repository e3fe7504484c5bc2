/** How something reached a replica. */
export type Via = 'self' | 'disk' | 'gossip' | 'exchange';

/** What became of something that was offered to a replica. */
export type Verdict =
  /** It is new and was taken over. */
  | 'applied'
  /** The same, or a later version, is here already. */
  | 'known'
  | Refusal;

export type Refusal =
  /** It has not the shape that it must have. */
  | 'malformed'
  /** Its owner did not sign it, or is no member (any more). */
  | 'not-signed'
  /** Its clock is too far ahead of ours. */
  | 'future'
  /** It is older than the horizon: it may have been collected here, and must not come back. */
  | 'expired'
  /** It is over a limit. */
  | 'limit';

export function isRefusal(verdict: Verdict): verdict is Refusal {
  return verdict !== 'applied' && verdict !== 'known';
}

/** What tells versions of a key apart; a later time wins, and where times are equal but marks are not, both sides must look. */
export type Stamp = readonly [key: string, wallMs: number, counter: number, mark: number];

/** Something replicated, in the terms that anti-entropy compares: owners, each with keys, each in one version. */
export interface Space {
  readonly name: string;
  /** How many {@link hashes} there are. */
  readonly ownerCount: number;
  /** Each owner with a hash of all its versions: equal hashes mean equal contents. */
  hashes(): Iterable<readonly [owner: string, hash: number]>;
  hashOf(owner: string): number | undefined;
  /** Versions worth telling others about. */
  stampsOf(owner: string): readonly Stamp[];
  /** @returns the version as it travels; undefined when there is none. */
  wireOf(owner: string, key: string): unknown;
  /** Judges something foreign and takes it over where it is right and new. Never throws, whatever it is. */
  offer(foreign: unknown, via: Via): Verdict;
}

/** Hashes of a set are sums, so that adding and removing costs no walk. */
const MODULUS = 2 ** 48;

export function addMark(hash: number, mark: number): number {
  return (hash + mark) % MODULUS;
}

export function removeMark(hash: number, mark: number): number {
  return (hash - mark + MODULUS) % MODULUS;
}
