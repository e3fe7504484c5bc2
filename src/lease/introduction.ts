import { AspenError, type Clock, every, type Logger, type PeerId, Tasks } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { StorageFault } from '../storage/index.ts';
import { introduceMethod, introductionToWire, objectionFromWire } from './peer-memory.ts';
import { answersNeeded, type Claim } from './peer-memory-rules.ts';
import type { Configuration } from './raft/index.ts';

const ASK_TIMEOUT_MS = 2_000;
/** How often it is looked whether enough agree, beside each answer: the configuration may have changed. */
const LOOK_EVERY_MS = 1_000;
const ASK_AGAIN_MS = 500;
/** Longest pause after a refusal. Unit: ms. */
const REFUSED_PAUSE_MS = 30_000;

export interface IntroducerComponents {
  readonly self: PeerId;
  readonly messenger: Pick<Messenger, 'connected' | 'onPeer' | 'request'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Also of this node itself: whoever may not vote has no store that others need to know of. */
  readonly mayVote: (peerId: PeerId) => boolean;
  readonly configuration: () => Configuration;
  /** As it is at the call. */
  readonly claim: () => Claim;
  /** The store is an older copy: it must not be run on any further. */
  readonly onObjection: (fault: StorageFault) => void;
  readonly onFailure: (error: unknown) => void;
}

/**
 * Says on every link what this node's store is, and hears whether the others remember more of it.
 *
 * - W9 Only who may vote introduces itself, to those that may. Whoever refuses, since it knows less of this node, is asked again ever more rarely; on a
 *   new link at once.
 * - W8 A node that shares the group with others says nothing to it before as many voters as {@link answersNeeded} have nothing to object.
 */
export class Introducer {
  readonly #components: IntroducerComponents;
  readonly #method: string;
  /** Who has nothing to object on the present link, and whether it was told that this node takes part. */
  readonly #agreed = new Map<PeerId, boolean>();
  readonly #asking = new Set<PeerId>();
  /** W9: who has refused on the present link. */
  readonly #refusals = new Map<PeerId, { readonly count: number; readonly untilMs: number }>();
  readonly #tasks: Tasks;
  #parts: readonly Disposable[] = [];
  #wake: () => void = () => undefined;
  #isTakingPart = false;
  #isRefused = false;

  constructor(components: IntroducerComponents, group: string) {
    this.#components = components;
    this.#method = introduceMethod(group);
    this.#tasks = new Tasks(components.onFailure);
  }

  /** Whether the store was found to be an older copy. */
  get isRefused(): boolean {
    return this.#isRefused;
  }

  start(): void {
    const { messenger, clock } = this.#components;
    this.#parts = [
      messenger.onPeer(({ peerId, type }) => {
        this.#agreed.delete(peerId);
        this.#refusals.delete(peerId);
        if (type === 'opened') this.#introduceTo(peerId);
      }),
      every(clock, ASK_AGAIN_MS, () => this.#introduceToAll()),
    ];
  }

  async stop(): Promise<void> {
    for (const part of this.#parts) part[Symbol.dispose]();
    await this.#tasks.stop();
  }

  /** W8. @returns false when somebody objected, or the signal came first. */
  async untilAgreed(signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#components;
    signal.addEventListener('abort', () => this.#wake(), { once: true });
    this.#introduceToAll();
    while (!this.#isEnough()) {
      if (this.#isRefused || signal.aborted) return false;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      using _timer = clock.setTimer(LOOK_EVERY_MS, resolve);
      await promise;
    }
    return !this.#isRefused;
  }

  /** From here on everybody is told that this life of the node is the present one. */
  takePart(): void {
    this.#isTakingPart = true;
    this.#introduceToAll();
  }

  /** A word that was lost is said again. */
  #introduceToAll(): void {
    const { messenger, clock } = this.#components;
    const nowMs = clock.monotonicMs();
    for (const peer of messenger.connected()) {
      const { untilMs = nowMs } = this.#refusals.get(peer) ?? {};
      if (nowMs >= untilMs && this.#agreed.get(peer) !== this.#isTakingPart) this.#introduceTo(peer);
    }
  }

  #isEnough(): boolean {
    const { self, configuration, claim } = this.#components;
    const { owner, incarnation } = claim();
    const { voters, outgoing } = configuration();
    return [voters, outgoing].every((half) => {
      const agreed = half.filter((peer) => this.#agreed.has(peer)).length;
      if (half.length === 0) return true;
      if (!half.includes(self)) return agreed > 0;
      return agreed >= answersNeeded(half.length, owner.incarnation !== incarnation);
    });
  }

  #introduceTo(peer: PeerId): void {
    const { self, mayVote, log } = this.#components;
    if (this.#isRefused || this.#asking.has(peer) || !mayVote(peer) || !mayVote(self)) return; // W9
    this.#asking.add(peer);
    this.#tasks.run(async (signal) => {
      try {
        await this.#ask(peer, signal);
      } catch (err) {
        if (!(err instanceof AspenError)) throw err;
        if (err.code === 'DENIED') this.#noteRefusal(peer);
        log.debug({ err, peer }, 'does not say what it remembers');
      } finally {
        this.#asking.delete(peer);
      }
    });
  }

  #noteRefusal(peer: PeerId): void {
    const count = (this.#refusals.get(peer)?.count ?? 0) + 1;
    const pauseMs = Math.min(REFUSED_PAUSE_MS, ASK_AGAIN_MS * 2 ** count);
    this.#refusals.set(peer, { count, untilMs: this.#components.clock.monotonicMs() + pauseMs });
  }

  async #ask(peer: PeerId, signal: AbortSignal): Promise<void> {
    const { messenger, claim, onObjection } = this.#components;
    const isTakingPart = this.#isTakingPart;
    const body = introductionToWire({ ...claim(), isTakingPart });
    const objection = objectionFromWire(
      await messenger.request(peer, this.#method, body, { timeoutMs: ASK_TIMEOUT_MS, signal }),
    );
    if (objection === null) {
      this.#agreed.set(peer, isTakingPart);
      this.#wake();
      if (this.#isTakingPart && !isTakingPart) await this.#ask(peer, signal);
      return;
    }
    if (this.#isRefused) return;
    this.#isRefused = true;
    this.#wake();
    onObjection(new StorageFault('damaged', `the store of this node ${objection} (remembered by ${peer})`));
  }
}
