import { z } from 'zod';
import {
  AspenError,
  type Clock,
  decode,
  encode,
  every,
  type Logger,
  type LogIndex,
  type PeerId,
  type Term,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { type Key, prefixEnd, StorageFault, type Store, type Write } from '../storage/index.ts';
import { type Epoch, epochFromWire, epochToWire } from './epoch.ts';
import { parseWith } from './machine/index.ts';
import {
  afterAcknowledgment,
  afterStart,
  type Claim,
  objectionTo,
  type Position,
  RETIRED_LIMIT,
  type Remembered,
} from './peer-memory-rules.ts';
import type { RaftState } from './raft/index.ts';

const PREFIX: Key = 'r/peer/';
/** What was acknowledged is written down this often; what a crash loses of it is known to the peer's own mark. Unit: ms. */
const KEEP_EVERY_MS = 5_000;
const PEERS_LIMIT = 1_024;

const incarnationSchema = z.string().regex(/^[0-9a-zA-Z]{1,64}$/);
const countSchema = z.int().min(0);
const epochSchema = z.custom<unknown>((value) => epochFromWire(value) !== undefined, 'expected an epoch');
const ownerSchema = z.object({ incarnation: incarnationSchema, bootCount: countSchema });
const positionSchema = z.tuple([epochSchema, countSchema, countSchema]).transform(
  ([epoch, term, index]): Position => ({
    epoch: epochFromWire(epoch) as Epoch,
    term: term as Term,
    index: index as LogIndex,
  }),
);
const introductionSchema = z.object({
  owner: ownerSchema,
  position: positionSchema,
  incarnation: incarnationSchema,
  isTakingPart: z.boolean(),
});
const rememberedSchema = z.object({
  owner: ownerSchema,
  position: positionSchema.nullable(),
  retired: z.array(incarnationSchema).max(RETIRED_LIMIT),
});
const parseIntroduction = parseWith(introductionSchema);
const parseAnswer = parseWith(z.object({ objection: z.string().max(1_000).nullable() }));

/** What a node says of itself on every link. */
export interface Introduction extends Claim {
  /** It speaks to the group with this store; false while it asks whether it may. */
  readonly isTakingPart: boolean;
}

export function introductionToWire({ owner, position, incarnation, isTakingPart }: Introduction): unknown {
  return { owner, position: positionToWire(position), incarnation, isTakingPart };
}

/** @returns null when nothing speaks against it. @throws AspenError INVALID_REQUEST. */
export function objectionFromWire(answer: unknown): string | null {
  return parseAnswer(answer).objection;
}

export interface PeerMemoryComponents {
  readonly store: Store;
  readonly messenger: Messenger;
  readonly clock: Clock;
  readonly log: Logger;
  readonly mayVote: (peerId: PeerId) => boolean;
  readonly epoch: () => Epoch;
  readonly state: () => RaftState;
  readonly onFailure: (error: unknown) => void;
}

/**
 * What this member remembers of the others, and what it says to one that comes back with less.
 *
 * - W6 A claim is held against what was known when the link opened: what is acknowledged on the same link may overtake it.
 * - W7 Whoever was objected to is not listened to on that link.
 */
export class PeerMemory {
  readonly #components: PeerMemoryComponents;
  readonly #method: string;
  readonly #known = new Map<PeerId, Remembered>();
  readonly #knownAtOpening = new Map<PeerId, Position | null>();
  readonly #distrusted = new Map<PeerId, string>();
  readonly #changed = new Set<PeerId>();
  #keeping: Promise<void> = Promise.resolve();

  /** @throws StorageFault `damaged`. */
  constructor(components: PeerMemoryComponents, group: string) {
    this.#components = components;
    this.#method = introduceMethod(group);
    for (const [key, value] of components.store.range({ from: PREFIX, to: prefixEnd(PREFIX) })) {
      this.#known.set(key.slice(PREFIX.length) as PeerId, readRemembered(key, value));
    }
  }

  /** Why a peer's store does not count, for those that were told so on the present link. */
  get distrusted(): ReadonlyMap<PeerId, string> {
    return this.#distrusted;
  }

  start(): Disposable {
    const { messenger, clock, mayVote } = this.#components;
    const parts = [
      messenger.onPeer(({ peerId, type }) => {
        this.#distrusted.delete(peerId);
        this.#sample();
        if (type === 'opened') this.#knownAtOpening.set(peerId, this.#known.get(peerId)?.position ?? null);
        else this.#knownAtOpening.delete(peerId);
      }),
      messenger.handle(this.#method, ({ from, body }) => {
        if (!mayVote(from)) throw new AspenError('DENIED', `${from} may not vote`);
        return this.#hear(from, parseIntroduction(body));
      }),
      every(clock, KEEP_EVERY_MS, () => {
        this.#sample();
        this.#keepSoon();
      }),
    ];
    return {
      [Symbol.dispose]() {
        for (const part of parts) part[Symbol.dispose]();
      },
    };
  }

  /** Writes down what is not yet. */
  async keep(): Promise<void> {
    this.#sample();
    this.#keepSoon();
    await this.#keeping;
  }

  async #hear(from: PeerId, introduction: Introduction): Promise<{ readonly objection: string | null }> {
    const known = this.#known.get(from);
    const before = known && { ...known, position: this.#knownAtOpening.get(from) ?? null }; // W6
    const objection = objectionTo(introduction, before);
    if (objection !== null) {
      this.#distrusted.set(from, objection); // W7
      this.#components.log.warn({ peer: from, objection }, 'a member came back with less than it had');
      return { objection };
    }
    if (introduction.isTakingPart) {
      this.#distrusted.delete(from);
      const next = afterStart(known, introduction.owner);
      if (next.owner.incarnation !== known?.owner.incarnation) this.#knownAtOpening.set(from, null);
      this.#set(from, next);
      await this.keep();
    }
    return { objection: null };
  }

  /** What a leader knows of its followers' logs. */
  #sample(): void {
    const state = this.#components.state();
    if (state.role !== 'leader') return;
    const epoch = this.#components.epoch();
    for (const [peer, { matchIndex }] of state.progress) {
      const known = this.#known.get(peer);
      if (known === undefined || matchIndex === 0) continue;
      this.#set(peer, afterAcknowledgment(known, { epoch, term: state.term, index: matchIndex }));
    }
  }

  #set(peer: PeerId, next: Remembered): void {
    const known = this.#known.get(peer);
    if (known === next || (known === undefined && this.#known.size >= PEERS_LIMIT)) return;
    this.#known.set(peer, next);
    this.#changed.add(peer);
  }

  #keepSoon(): void {
    if (this.#changed.size === 0) return;
    const { store, log, onFailure } = this.#components;
    this.#keeping = this.#keeping
      .then(async () => {
        const writes = [...this.#changed].map(
          (peer): Write => ({ type: 'put', key: `${PREFIX}${peer}`, value: this.#encoded(peer) }),
        );
        this.#changed.clear();
        if (writes.length > 0) await store.write(writes);
      })
      .catch((error: unknown) => {
        if (error instanceof StorageFault && error.kind === 'full')
          log.warn({ err: error }, 'not remembered');
        else onFailure(error);
      });
  }

  #encoded(peer: PeerId): Uint8Array {
    const { owner, position, retired } = this.#known.get(peer) as Remembered;
    return encode({ owner, position: position === null ? null : positionToWire(position), retired });
  }
}

export function introduceMethod(group: string): string {
  return `group/${group}/introduce`;
}

function positionToWire({ epoch, term, index }: Position): unknown {
  return [epochToWire(epoch), term, index];
}

function readRemembered(key: Key, value: Uint8Array): Remembered {
  const read = rememberedSchema.safeParse(decode(value));
  if (!read.success)
    throw new StorageFault('damaged', `the record ${key} is malformed`, { cause: read.error });
  return read.data;
}
