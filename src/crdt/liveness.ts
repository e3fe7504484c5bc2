import type { Clock, PeerId, Timer } from '../base/index.ts';
import { Doubts, type DoubtsComponents } from './doubts.ts';
import type { UnsignedEntry } from './entry.ts';
import type { HybridClock } from './hlc.ts';
import { markOfPeer } from './link-row.ts';
import type { AppliedEntry, LwwMap } from './lww-map.ts';
import { aliveForMs, type NodeBook } from './node-book.ts';
import { HEARTBEAT_KEY, type OwnEntries, SUSPECTS_KEY } from './own-entries.ts';
import type { RegistryReaders } from './readers.ts';
import {
  decodeSuspicions,
  encodeSuspicions,
  isRefuted,
  REFUTATION_MS,
  type RefutationRule,
  SuspicionBook,
} from './suspicion.ts';

export interface LivenessComponents
  extends Pick<DoubtsComponents, 'messenger' | 'clock' | 'random' | 'log' | 'hasParted' | 'onFailure'> {
  readonly self: PeerId;
  readonly hlc: HybridClock;
  readonly nodes: LwwMap;
  readonly book: NodeBook;
  readonly own: OwnEntries;
  /** Tries to reach a peer whose link has ended; rejects when it cannot be reached. Without it nobody is missed. */
  readonly probe: DoubtsComponents['probe'] | undefined;
  /** @default a later sign of life refutes */
  readonly refutation?: RefutationRule | undefined;
  readonly readHeartbeat: RegistryReaders['heartbeat'];
  /** Somebody says that it misses this node. */
  readonly onSelfMissed: () => void;
}

export interface LivenessOptions {
  /** From so many nodes on those whose links end are missed. */
  readonly missedFrom: number;
}

/** Whoever misses several at once says so once. Unit: ms. */
const MISSING_PAUSE_MS = 200;

/**
 * Who lives, as far as this node can tell: by signs of life, and by whom enough others miss. Tells everybody whom this node misses.
 *
 * - D6 Nobody that lives and is linked with a majority is shown as gone for more than 8 s by anybody of whom the same is true.
 */
export class Liveness {
  readonly #components: LivenessComponents;
  readonly #suspicions: SuspicionBook;
  readonly #doubts: Doubts | undefined;
  #telling: Timer | undefined;

  constructor(components: LivenessComponents, { missedFrom }: LivenessOptions) {
    this.#components = components;
    const { probe, nodes, refutation = isRefuted } = components;
    this.#suspicions = new SuspicionBook(refutation);
    if (probe === undefined) return;
    this.#doubts = new Doubts({
      ...components,
      probe,
      isRefuted: refutation,
      isWorthIt: () => nodes.ownerCount >= missedFrom,
      lastSignMs: (peerId) => this.#lastSignMs(peerId),
      onChange: () => this.#tellSoon(components.clock),
    });
  }

  start(): void {
    this.#doubts?.start();
  }

  async stop(): Promise<void> {
    this.#telling?.cancel();
    await this.#doubts?.stop();
  }

  /** What was caught up on is as old as its stamp says on the clock that all share. */
  hearHeartbeat({ owner, wallMs, value }: UnsignedEntry, via: AppliedEntry['via']): void {
    if (value === undefined) return;
    const { hlc, book, readHeartbeat } = this.#components;
    const heartbeat = readHeartbeat(value);
    if (heartbeat !== undefined) {
      const isFresh = via === 'gossip' || hlc.timeMs - wallMs <= aliveForMs(heartbeat);
      book.hear(owner, heartbeat, { isFresh });
    }
    this.#judge(owner);
  }

  /** @param value undefined when the author misses nobody any more. */
  hearSuspicions(author: PeerId, value: Uint8Array | undefined): void {
    const suspicions = value === undefined ? [] : (decodeSuspicions(value) ?? []);
    const marks = this.#suspicions.hear(author, suspicions);
    if (marks.size === 0) return;
    const { self, clock, nodes, book, onSelfMissed } = this.#components;
    if (marks.has(markOfPeer(self)) && author !== self) onSelfMissed();
    for (const owner of nodes.owners())
      if (marks.has(markOfPeer(owner as PeerId))) this.#judge(owner as PeerId);
    clock.setTimer(REFUTATION_MS + 1, () => book.sweep());
  }

  /** Tells whom this node misses, unless all know. */
  tellMissed(): void {
    const suspicions = this.#doubts?.suspicions() ?? [];
    const told = this.#components.own.get(SUSPECTS_KEY)?.value;
    const value = suspicions.length === 0 ? undefined : encodeSuspicions(suspicions);
    const isSame =
      value === undefined || told === undefined ? value === told : Buffer.compare(value, told) === 0;
    if (!isSame) this.#components.own.write(SUSPECTS_KEY, value);
  }

  #tellSoon(clock: Clock): void {
    this.#telling ??= clock.setTimer(MISSING_PAUSE_MS, () => {
      this.#telling = undefined;
      this.tellMissed();
    });
  }

  #judge(peerId: PeerId): void {
    const lastSignMs = this.#lastSignMs(peerId);
    if (lastSignMs === undefined) return;
    this.#components.book.doubt(peerId, this.#suspicions.isMissed(peerId, lastSignMs));
  }

  #lastSignMs(peerId: PeerId): number | undefined {
    return this.#components.nodes.get(peerId, HEARTBEAT_KEY)?.wallMs;
  }
}
