import {
  AspenError,
  type Clock,
  type Logger,
  OneByOne,
  type PeerId,
  type Random,
  randomFloat,
  randomPick,
  type Startable,
  sleep,
  Tasks,
  type Timer,
} from '../base/index.ts';
import type { Incoming, Messenger, Transport } from '../mesh/index.ts';
import {
  type Comparison,
  compareDigest,
  compareParts,
  digestOf,
  type Item,
  itemsOf,
  planExchange,
} from './anti-entropy.ts';
import type { RegistryReaders } from './readers.ts';
import { isRefusal, type Refusal, type Space, type Verdict, type Via } from './space.ts';
import { partsOf, summaryOf, unequalBuckets } from './summary.ts';
import {
  encodeGossip,
  METHODS,
  partsMessage,
  readAnswer,
  readComparison,
  readDigest,
  readExchange,
  readParts,
  readSelection,
  readSummary,
  summaryMessage,
  TOPIC,
} from './wire.ts';

export interface ReplicatorComponents {
  readonly spaces: readonly Space[];
  readonly clock: Clock;
  readonly random: Random;
  readonly gossip: Transport['gossip'];
  readonly messenger: Messenger;
  readonly log: Logger;
  /** A loop ended although it should not have. */
  readonly onFailure: (error: unknown) => void;
  /** How many nodes the mesh has, roughly. */
  readonly nodeCount: () => number;
  readonly readGossip: RegistryReaders['gossip'];
}

export interface ReplicatorOptions {
  /** How long fresh changes wait for others to travel with. Unit: ms. @default 50 */
  readonly gossipDelayMs?: number;
  /** Pause between anti-entropy rounds in a small mesh. Unit: ms. @default 5_000 */
  readonly syncEveryMs?: number;
  /** The least of that pause for each node, so that looking through all of them costs little in a huge mesh. Unit: ms. @default 5 */
  readonly syncEveryMsPerNode?: number;
  /** How long a peer may take to answer. Unit: ms. @default 5_000 */
  readonly requestTimeoutMs?: number;
  /** Up to so many owners are all named to a peer: that costs little, and spares a question. Beyond it a summary goes first. @default 24 */
  readonly namedAtOnce?: number;
}

export interface ReplicatorCounts {
  /** Anti-entropy rounds that ended well, and those that did not. */
  readonly synced: number;
  readonly syncFailed: number;
  /** What was taken over from others. */
  readonly applied: number;
  readonly refused: Readonly<Record<Refusal, number>>;
}

/** How a peer says that it does not know what it is asked. */
const UNKNOWN_QUESTION: ReadonlySet<string> = new Set(['METHOD_NOT_FOUND', 'INVALID_REQUEST']);
/** Rounds of one synchronisation; what is left after them waits for the next one. */
const ROUNDS_LIMIT = 16;
/** Synchronisations begun here at once, because new peers connected. */
const SYNCING_LIMIT = 4;
/** Fresh changes that may wait to be gossiped; anti-entropy carries what comes on top. */
const PENDING_LIMIT = 4_096;
/** A new peer is not asked in the same moment by everybody. Unit: ms. */
const GREETING_SPREAD_MS = 300;
/** By then a newcomer has asked somebody itself. Unit: ms. */
const NEWCOMER_PAUSE_MS = 2_000;

/**
 * Keeps spaces equal on all nodes: fresh changes by gossip, and what gossip missed by asking a random neighbour every few seconds (push-pull
 * anti-entropy: Demers et al., "Epidemic Algorithms for Replicated Database Maintenance", 1987).
 *
 * - C8 A change that reached one node of a connected mesh reaches all, as long as anti-entropy rounds end.
 * - C15 A newcomer is told all by one neighbour: it asks one after the other until the first has answered, whoever finds it new lets it ask first, and
 *   of two that are linked anew the second has no need to ask once the first one has.
 * - C9 Whatever a peer sends, the worst it does here is to be counted.
 */
export class Replicator implements Startable {
  readonly #components: ReplicatorComponents;
  readonly #options: Required<ReplicatorOptions>;
  readonly #tasks: Tasks;
  readonly #pending = new Map<string, Item>();
  readonly #syncing = new Set<PeerId>();
  readonly #firstOnes = new OneByOne();
  /** Linked ones that have asked and exchanged with this node what they lacked: both held the same then. */
  readonly #askedBy = new Set<PeerId>();
  /** Linked ones of a version that knows no summaries. */
  readonly #unsummarized = new Set<PeerId>();
  readonly #refused = { malformed: 0, 'not-signed': 0, future: 0, expired: 0, limit: 0 };
  readonly #counts = { synced: 0, syncFailed: 0, applied: 0 };
  #subscriptions: readonly Disposable[] = [];
  #isRunning = false;
  #gossipTimer: Timer | undefined;

  constructor(components: ReplicatorComponents, options: ReplicatorOptions = {}) {
    this.#components = components;
    this.#options = {
      gossipDelayMs: 50,
      syncEveryMs: 5_000,
      syncEveryMsPerNode: 5,
      requestTimeoutMs: 5_000,
      namedAtOnce: 24,
      ...options,
    };
    this.#tasks = new Tasks(components.onFailure);
  }

  get counts(): ReplicatorCounts {
    return { ...this.#counts, refused: { ...this.#refused } };
  }

  async start(): Promise<void> {
    this.#isRunning = true;
    const { gossip, messenger } = this.#components;
    this.#subscriptions = [
      gossip.subscribe(TOPIC, (message) => this.#onGossip(message)),
      messenger.handle(METHODS.compare, (message) => this.#onCompare(message)),
      messenger.handle(METHODS.summarize, (message) => this.#onSummary(message)),
      messenger.handle(METHODS.compareParts, (message) => this.#onParts(message)),
      messenger.handle(METHODS.exchange, (message) => this.#onExchange(message)),
      messenger.onPeer(({ peerId, type }) => {
        if (type === 'opened') this.#greet(peerId);
        else this.#forgetLinked(peerId);
      }),
    ];
    this.#tasks.run((signal) => this.#syncForEver(signal));
    for (const peerId of messenger.connected()) this.#greet(peerId);
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    this.#sendGossip();
    this.#askedBy.clear();
    await this.#tasks.stop();
  }

  /**
   * Tells everybody about a fresh version, soon; a later one of the same key takes its place meanwhile. While stopped nothing is told: whoever
   * connects later finds it by anti-entropy.
   */
  publish(space: Space, owner: string, key: string): void {
    if (!this.#isRunning) return;
    const wire = space.wireOf(owner, key);
    const id = JSON.stringify([space.name, owner, key]);
    if (wire === undefined || (this.#pending.size >= PENDING_LIMIT && !this.#pending.has(id))) return;
    this.#pending.set(id, [space.name, wire]);
    this.#gossipTimer ??= this.#components.clock.setTimer(this.#options.gossipDelayMs, () =>
      this.#sendGossip(),
    );
  }

  /** Makes both sides equal. @throws AspenError when the peer does not answer, or not in the right shape. */
  async syncWith(peerId: PeerId, signal?: AbortSignal): Promise<void> {
    for (let round = 0; round < ROUNDS_LIMIT; round += 1) {
      const { isMore, appliedCount } = await this.#syncRound(peerId, signal);
      if (!isMore || (appliedCount === 0 && round > 0)) return;
    }
  }

  async #syncRound(peerId: PeerId, signal?: AbortSignal): Promise<{ isMore: boolean; appliedCount: number }> {
    const { spaces } = this.#components;
    const comparison = await this.#compare(peerId, signal);
    const { wants, offers, isCut: isPlanCut } = planExchange(spaces, comparison.differences);
    if (wants.length + offers.length === 0) return { isMore: comparison.isMore, appliedCount: 0 };
    const { items, isCut } = itemsOf(spaces, offers);
    const answer = readAnswer(await this.#ask(peerId, METHODS.exchange, { wants, items }, signal));
    const appliedCount = this.#takeAll(answer.items, 'exchange');
    return {
      isMore: comparison.isMore || isPlanCut || isCut || answer.isCut,
      appliedCount: appliedCount + items.length,
    };
  }

  /** What one replica has to tell another one first grows with the root of their owners, and with what they differ in. */
  async #compare(peerId: PeerId, signal?: AbortSignal): Promise<Comparison> {
    const { spaces, random } = this.#components;
    if (ownerCount(spaces) > this.#options.namedAtOnce && !this.#unsummarized.has(peerId)) {
      const summary = summaryMessage(summaryOf(spaces, random.uint32()));
      const answer = await this.#askNewer(peerId, METHODS.summarize, summary, signal);
      if (answer !== undefined) {
        const parts = partsOf(spaces, readSelection(answer));
        if (parts.length === 0) return { differences: [], isMore: false };
        return readComparison(await this.#ask(peerId, METHODS.compareParts, partsMessage(parts), signal));
      }
    }
    return readComparison(await this.#ask(peerId, METHODS.compare, digestOf(spaces), signal));
  }

  /** @returns undefined when the peer is of a version that does not know the question, or not in this form. */
  async #askNewer(peerId: PeerId, method: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
    try {
      return await this.#ask(peerId, method, body, signal);
    } catch (error) {
      if (!(error instanceof AspenError) || !UNKNOWN_QUESTION.has(error.code)) throw error;
      if (this.#components.messenger.connected().includes(peerId)) this.#unsummarized.add(peerId);
      return undefined;
    }
  }

  #ask(peerId: PeerId, method: string, body: unknown, signal?: AbortSignal): Promise<unknown> {
    const timeoutMs = this.#options.requestTimeoutMs;
    return this.#components.messenger.request(peerId, method, body, {
      timeoutMs,
      priority: 'bulk',
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async #syncForEver(signal: AbortSignal): Promise<void> {
    const { clock, random, messenger, nodeCount } = this.#components;
    const { syncEveryMs, syncEveryMsPerNode } = this.#options;
    while (!signal.aborted) {
      const periodMs = Math.max(syncEveryMs, syncEveryMsPerNode * nodeCount());
      await sleep(clock, periodMs * (0.75 + randomFloat(random) / 2), signal);
      const peerId = randomPick(random, messenger.connected());
      if (peerId !== undefined) await this.#trySync(peerId, signal);
    }
  }

  /** A neighbour is new: what each missed of the other is exchanged now, not at some later round. */
  #greet(peerId: PeerId): void {
    if (this.#syncing.size >= SYNCING_LIMIT || this.#syncing.has(peerId)) return;
    this.#syncing.add(peerId);
    this.#tasks.run(async (signal) => {
      try {
        await sleep(this.#components.clock, this.#greetingPauseMs(peerId), signal);
        if (this.#askedBy.has(peerId)) return;
        const sync = () => this.#trySync(peerId, signal);
        await (this.#isNewcomer ? this.#firstOnes.run(sync) : sync()); // C15
      } finally {
        this.#syncing.delete(peerId);
      }
    });
  }

  #forgetLinked(peerId: PeerId): void {
    this.#unsummarized.delete(peerId); // it may come back as a later version
    this.#askedBy.delete(peerId);
  }

  /** Nobody has told this node yet what there is. */
  get #isNewcomer(): boolean {
    return this.#counts.synced === 0;
  }

  /** C15 */
  #greetingPauseMs(peerId: PeerId): number {
    const { spaces, random } = this.#components;
    const isKnown = spaces.some((space) => space.hashOf(peerId) !== undefined);
    const pauseMs = isKnown || this.#isNewcomer ? 0 : NEWCOMER_PAUSE_MS;
    return pauseMs + randomFloat(random) * GREETING_SPREAD_MS;
  }

  async #trySync(peerId: PeerId, signal: AbortSignal): Promise<void> {
    try {
      await this.syncWith(peerId, signal);
      this.#counts.synced += 1;
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.#counts.syncFailed += 1;
      this.#components.log.debug({ err, peerId }, 'anti-entropy round failed, another peer is asked later');
    }
  }

  #onCompare({ from, body }: Incoming): unknown {
    const digest = this.#counted(() => readDigest(body));
    return this.#compared(from, compareDigest(this.#components.spaces, digest, this.#components.random));
  }

  #onSummary({ from, body }: Incoming): unknown {
    const summary = this.#counted(() => readSummary(body));
    const unequal = unequalBuckets(this.#components.spaces, summary);
    if (unequal.length === 0) this.#askedBy.add(from);
    return unequal;
  }

  #onParts({ from, body }: Incoming): unknown {
    const parts = this.#counted(() => readParts(body));
    return this.#compared(from, compareParts(this.#components.spaces, parts, this.#components.random));
  }

  #compared(from: PeerId, comparison: Comparison): Comparison {
    if (comparison.differences.length === 0) this.#askedBy.add(from);
    return comparison;
  }

  #onExchange({ from, body }: Incoming): unknown {
    const { wants, items } = this.#counted(() => readExchange(body));
    this.#askedBy.add(from);
    this.#takeAll(items, 'exchange');
    return itemsOf(this.#components.spaces, wants);
  }

  /** @returns whether the message deserves to be passed on. */
  #onGossip(message: Uint8Array): boolean {
    const items = this.#components.readGossip(message);
    if (items === undefined) {
      this.#refused.malformed += 1;
      return false;
    }
    return items.map((item) => this.#take(item, 'gossip')).every((verdict) => !isRefusal(verdict));
  }

  #takeAll(items: readonly Item[], via: Via): number {
    return items.filter((item) => this.#take(item, via) === 'applied').length;
  }

  #take([name, wire]: Item, via: Via): Verdict {
    const space = this.#components.spaces.find((candidate) => candidate.name === name);
    const verdict = space?.offer(wire, via) ?? 'malformed';
    if (verdict === 'applied') this.#counts.applied += 1;
    else if (isRefusal(verdict)) {
      this.#refused[verdict] += 1; // C9
      this.#components.log.debug({ space: name, verdict, via }, 'refused a registry entry');
    }
    return verdict;
  }

  #counted<T>(read: () => T): T {
    try {
      return read();
    } catch (error) {
      this.#refused.malformed += 1;
      throw error;
    }
  }

  #sendGossip(): void {
    this.#gossipTimer?.cancel();
    this.#gossipTimer = undefined;
    const items = [...this.#pending.values()];
    this.#pending.clear();
    for (const message of encodeGossip(items)) this.#components.gossip.publish(TOPIC, message);
  }
}

function ownerCount(spaces: readonly Space[]): number {
  return spaces.reduce((count, space) => count + space.ownerCount, 0);
}
