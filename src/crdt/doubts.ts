import {
  AspenError,
  type Clock,
  type Logger,
  type PeerId,
  type Random,
  randomFloat,
  sleep,
  Tasks,
  withDeadline,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { markOfPeer } from './link-row.ts';
import { isOwnFault, type RefutationRule, SUSPICIONS_LIMIT, type Suspicion } from './suspicion.ts';

export interface DoubtsComponents {
  readonly messenger: Pick<Messenger, 'connected' | 'onPeer'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** The stamp of the latest sign of life of a node; undefined when none is known. Wall time, ms. */
  readonly lastSignMs: (peerId: PeerId) => number | undefined;
  /** Whether the mesh is so large that waiting for missing heartbeats takes too long. */
  readonly isWorthIt: () => boolean;
  /** Whether the end of its link was announced. */
  readonly hasParted: (peerId: PeerId) => boolean;
  /** Tries to reach it. Rejects when it cannot be. */
  readonly probe: (peerId: PeerId, signal: AbortSignal) => Promise<void>;
  readonly isRefuted: RefutationRule;
  /** Tells everybody whom this node misses. */
  readonly onChange: () => void;
  readonly onFailure: (error: unknown) => void;
}

/** A link may be back before anybody is asked. Unit: ms. */
const PAUSE_MS = 1_000;
const PROBE_MS = 2_000;
/** Links that ended within this are counted together. Unit: ms. */
const TOGETHER_MS = 5_000;
const LOST_LIMIT = 256;
/** A node that nobody has heard of for so long needs no suspicion any more. Unit: ms. */
const FORGET_MS = 600_000;

interface Missed {
  readonly lastSignMs: number;
  readonly sinceMs: number;
}

/**
 * Whom this node misses: its link ended without a word, it is not back, cannot be reached, and gave no sign of life since.
 *
 * - D3 Whoever is linked, can be reached, or gave a later sign of life, is not missed.
 * - D4 Who lost most of its links at once misses nobody: it is more likely cut off itself.
 */
export class Doubts {
  readonly #components: DoubtsComponents;
  readonly #tasks: Tasks;
  readonly #missed = new Map<PeerId, Missed>();
  readonly #asking = new Set<PeerId>();
  #lostAtMs: number[] = [];
  #subscription: Disposable | undefined;

  constructor(components: DoubtsComponents) {
    this.#components = components;
    this.#tasks = new Tasks(components.onFailure);
  }

  start(): void {
    this.#subscription = this.#components.messenger.onPeer(({ peerId, type }) => {
      if (type === 'closed') this.#onClosed(peerId);
      else if (this.#missed.delete(peerId)) this.#components.onChange();
    });
  }

  async stop(): Promise<void> {
    this.#subscription?.[Symbol.dispose]();
    await this.#tasks.stop();
  }

  /** What is to be told now; what was refuted meanwhile is left out. */
  suspicions(): readonly Suspicion[] {
    const { clock, lastSignMs, isRefuted } = this.#components;
    for (const [peerId, { lastSignMs: namedMs, sinceMs }] of this.#missed) {
      const isOver = isRefuted(lastSignMs(peerId) ?? Number.NEGATIVE_INFINITY, namedMs); // D3
      if (isOver || clock.monotonicMs() - sinceMs > FORGET_MS) this.#missed.delete(peerId);
    }
    return [...this.#missed].map(([peerId, { lastSignMs: namedMs }]) => ({
      mark: markOfPeer(peerId),
      lastSignMs: namedMs,
    }));
  }

  #onClosed(peerId: PeerId): void {
    const { hasParted, isWorthIt, lastSignMs, clock } = this.#components;
    const signMs = lastSignMs(peerId);
    if (hasParted(peerId) || !isWorthIt() || signMs === undefined || this.#asking.has(peerId)) return;
    const nowMs = clock.monotonicMs();
    this.#lostAtMs = [...this.#lostAtMs.filter((atMs) => nowMs - atMs <= TOGETHER_MS), nowMs].slice(
      -LOST_LIMIT,
    );
    this.#asking.add(peerId);
    this.#tasks.run(async (signal) => {
      try {
        if (await this.#isGone(peerId, signMs, signal)) this.#miss(peerId, signMs);
      } finally {
        this.#asking.delete(peerId);
      }
    });
  }

  async #isGone(peerId: PeerId, signMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, random, probe } = this.#components;
    await sleep(clock, PAUSE_MS * (0.75 + randomFloat(random) / 2), signal);
    if (this.#isBack(peerId, signMs) || this.#isOwnFault()) return false;
    try {
      const what = `reaching ${peerId}`;
      await withDeadline({ clock, timeoutMs: PROBE_MS, what, signal }, (over) => probe(peerId, over));
      return false;
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.#components.log.debug({ err, peerId }, 'a peer whose link ended cannot be reached');
      return !this.#isBack(peerId, signMs);
    }
  }

  /** D3 */
  #isBack(peerId: PeerId, signMs: number): boolean {
    const { messenger, lastSignMs } = this.#components;
    return messenger.connected().includes(peerId) || lastSignMs(peerId) !== signMs;
  }

  /** D4 */
  #isOwnFault(): boolean {
    const nowMs = this.#components.clock.monotonicMs();
    const lost = this.#lostAtMs.filter((atMs) => nowMs - atMs <= TOGETHER_MS).length;
    return isOwnFault({ lost, left: this.#components.messenger.connected().length });
  }

  #miss(peerId: PeerId, lastSignMs: number): void {
    const [oldest] = this.#missed.keys();
    if (oldest !== undefined && this.#missed.size >= SUSPICIONS_LIMIT) this.#missed.delete(oldest);
    this.#missed.set(peerId, { lastSignMs, sinceMs: this.#components.clock.monotonicMs() });
    this.#components.log.debug({ peerId }, 'a peer is missed, everybody is told');
    this.#components.onChange();
  }
}
