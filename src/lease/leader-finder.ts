import {
  AspenError,
  type Clock,
  type LogIndex,
  type PeerId,
  type Random,
  randomShuffle,
  type Term,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { groupMethod } from './call-errors.ts';
import type { GroupStatus } from './group.ts';

/** What one node tells another about the group. */
export interface LeaderHint {
  readonly leader: PeerId | null;
  readonly term: Term;
  readonly commitIndex: LogIndex;
  readonly voters: readonly PeerId[];
  readonly standbys: readonly PeerId[];
}

export interface LeaderFinderComponents {
  readonly messenger: Messenger;
  readonly random: Random;
  readonly clock: Clock;
  /** This node's own member of the group. */
  readonly replica: { readonly isMember: boolean; status(): GroupStatus };
}

/** Peers asked at once. */
const ASKED_LIMIT = 5;
const ASK_TIMEOUT_MS = 1_000;
/** A new leader needs a moment until everything before its term is applied. */
const REFUSED_PAUSE_MS = 100;
/** How long what others said is believed without being asked again. */
const HINT_FRESH_MS = 3_000;
/** After so many answers of one peer several are asked again. */
const TELLER_ANSWERS = 10;

/**
 * Who leads, as far as this node can tell: its own replica first, else what connected peers say.
 *
 * - F1 Whoever only keeps up asks one that keeps the log, always the same, and several where it is gone, knows of no leader or of less than is known
 *   here: else each node would ask five others every few seconds, and keep those links busy.
 */
export class LeaderFinder {
  readonly #components: LeaderFinderComponents;
  readonly #method: string;
  #hint: LeaderHint | undefined;
  #hintAtMs = Number.NEGATIVE_INFINITY;
  /** A leader that did not answer, and the term it led: not tried again before it is named anew. */
  #failed: { readonly leader: PeerId; readonly term: Term; readonly untilMs: number } | undefined;
  #asking: Promise<void> | undefined;
  #teller: { readonly peerId: PeerId; answers: number } | undefined;

  constructor(components: LeaderFinderComponents, group: string) {
    this.#components = components;
    this.#method = groupMethod(group, 'leads');
  }

  /** What this node tells those who ask. */
  tell(): LeaderHint {
    const { replica } = this.#components;
    const { leader, term, commitIndex, voters, standbys } = replica.status();
    const own = { leader, term, commitIndex, voters, standbys };
    if (leader !== null || this.#hint === undefined || this.#hint.term < term) return own;
    return this.#hint;
  }

  /** What is known of the group where this node is not part of it. */
  get hint(): LeaderHint | undefined {
    return this.#hint;
  }

  /** @returns the leader as known now, without asking anybody. */
  known(): PeerId | undefined {
    const { leader, term } = this.tell();
    if (leader === null || this.#isFailed(leader, term)) return undefined;
    return leader;
  }

  /** @returns the leader; undefined when nobody who can be asked now knows one. */
  async find(): Promise<PeerId | undefined> {
    const known = this.known();
    if (known !== undefined) return known;
    await this.ask();
    return this.known();
  }

  /** Asks some connected peers; what the newest term says counts. */
  ask(): Promise<void> {
    return this.#once(() => this.#ask());
  }

  /** What is asked already answers whoever asks meanwhile. */
  #once(asking: () => Promise<void>): Promise<void> {
    this.#asking ??= asking().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Asks again when what is known has grown old; for nodes that are not part of the group. */
  async refresh(): Promise<void> {
    const { clock, replica } = this.#components;
    if (replica.isMember && replica.status().role !== 'spare') return;
    if (clock.monotonicMs() - this.#hintAtMs < HINT_FRESH_MS) return;
    await this.#once(async () => {
      if (!(await this.#askTeller())) await this.#ask();
    });
  }

  /** F1. @returns whether what it says will do. */
  async #askTeller(): Promise<boolean> {
    const teller = this.#keptTeller();
    if (teller === undefined) return false;
    const answer = await this.#askOne(teller.peerId);
    const hint = parseHint(answer);
    const known = this.#hint;
    teller.answers += 1;
    const isEnough =
      hint !== undefined &&
      hint.leader !== null &&
      hint.term >= (known?.term ?? 0) &&
      hint.commitIndex >= (known?.commitIndex ?? 0);
    if (isEnough) this.#learn(answer);
    if (!isEnough || teller.answers >= TELLER_ANSWERS) this.#teller = undefined;
    return isEnough;
  }

  #keptTeller(): { readonly peerId: PeerId; answers: number } | undefined {
    const { messenger, random } = this.#components;
    const { voters = [], standbys = [] } = this.#hint ?? {};
    const keepers = new Set([...voters, ...standbys]);
    const linked = messenger.connected().filter((peer) => keepers.has(peer));
    if (this.#teller !== undefined && linked.includes(this.#teller.peerId)) return this.#teller;
    const [peerId] = randomShuffle(random, linked);
    this.#teller = peerId === undefined ? undefined : { peerId, answers: 0 };
    return this.#teller;
  }

  /** `leader` did not answer. */
  failed(leader: PeerId): void {
    this.#avoid(leader, ASK_TIMEOUT_MS);
  }

  /** `peer` answered that it does not lead (yet, or any more), and whom it takes for the leader. */
  refused(peer: PeerId, named: unknown): void {
    this.#avoid(peer, REFUSED_PAUSE_MS);
    if (typeof named !== 'string' || named === peer || this.#hint === undefined) return;
    this.#hint = { ...this.#hint, leader: named as PeerId };
  }

  #avoid(leader: PeerId, forMs: number): void {
    const { term } = this.tell();
    this.#failed = { leader, term, untilMs: this.#components.clock.monotonicMs() + forMs };
    if (this.#hint?.leader === leader) this.#hint = { ...this.#hint, leader: null };
  }

  async #ask(): Promise<void> {
    const { messenger, random } = this.#components;
    const peers = randomShuffle(random, messenger.connected()).slice(0, ASKED_LIMIT);
    await Promise.all(peers.map(async (peer) => this.#learn(await this.#askOne(peer))));
  }

  /** @returns undefined when it does not answer, or refuses: it says nothing then. */
  async #askOne(peer: PeerId): Promise<unknown> {
    const { messenger } = this.#components;
    try {
      return await messenger.request(peer, this.#method, null, { timeoutMs: ASK_TIMEOUT_MS });
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      return undefined;
    }
  }

  #learn(answer: unknown): void {
    const hint = parseHint(answer);
    if (hint === undefined) return;
    const { clock } = this.#components;
    const isNews = this.#hint === undefined || hint.term >= this.#hint.term;
    if (!isNews || (hint.leader === null && this.#hint?.leader != null && hint.term === this.#hint.term))
      return;
    if (hint.leader !== null && this.#isFailed(hint.leader, hint.term)) return;
    this.#hint = hint;
    this.#hintAtMs = clock.monotonicMs();
  }

  #isFailed(leader: PeerId, term: Term): boolean {
    if (this.#failed?.leader !== leader || term > this.#failed.term) return false;
    return this.#components.clock.monotonicMs() < this.#failed.untilMs;
  }
}

function parseHint(answer: unknown): LeaderHint | undefined {
  const { leader, term, commitIndex, voters, standbys } = (answer ?? {}) as Partial<LeaderHint>;
  if (leader !== null && typeof leader !== 'string') return undefined;
  if (!Number.isSafeInteger(term) || !Number.isSafeInteger(commitIndex)) return undefined;
  if (!isPeerList(voters) || !isPeerList(standbys)) return undefined;
  return { leader, term: term as Term, commitIndex: commitIndex as LogIndex, voters, standbys };
}

function isPeerList(value: unknown): value is readonly PeerId[] {
  return Array.isArray(value) && value.length <= 64 && value.every((item) => typeof item === 'string');
}
