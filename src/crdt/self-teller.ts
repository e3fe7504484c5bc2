import {
  type Clock,
  type PeerId,
  type Random,
  randomFloat,
  type Startable,
  sleep,
  Tasks,
  type Timer,
  toBeat,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { Liveness } from './liveness.ts';
import type { LwwMap } from './lww-map.ts';
import type { NodeBook } from './node-book.ts';
import { CERTIFICATE_KEY, HEARTBEAT_KEY, type OwnEntries, PROFILE_KEY } from './own-entries.ts';
import { encodeHeartbeat, encodeProfile, LONGEST_PERIOD_MS, type NodeProfile } from './profile.ts';
import type { Whereabouts } from './whereabouts.ts';

export interface SelfTellerComponents {
  readonly self: PeerId;
  readonly clock: Clock;
  readonly random: Random;
  readonly messenger: Pick<Messenger, 'connected' | 'onPeer'>;
  readonly nodes: LwwMap;
  readonly book: NodeBook;
  readonly own: OwnEntries;
  readonly whereabouts: Whereabouts;
  readonly liveness: Liveness;
  /** What proves that this node is a member. Without it, it is not told. */
  readonly certificate: (() => Uint8Array | undefined) | undefined;
  readonly onFailure: (error: unknown) => void;
}

export interface SelfTellerOptions {
  /** Pause between heartbeats in a small mesh. Unit: ms. */
  readonly heartbeatEveryMs: number;
  /** What each node adds to that pause. Unit: ms. */
  readonly heartbeatEveryMsPerNode: number;
  /** From so many nodes on the ends of links tell of deaths, and heartbeats may be rarer. */
  readonly missedFrom: number;
}

/** How much rarer. */
const RARER_WHERE_MISSED = 2;

/** C16 All nodes together give no more signs of life than a mesh can bear, however large it is. Unit: ms. */
export function heartbeatPeriodMs(
  nodeCount: number,
  { heartbeatEveryMs, heartbeatEveryMsPerNode, missedFrom }: SelfTellerOptions,
): number {
  const share = heartbeatEveryMsPerNode * (nodeCount >= missedFrom ? RARER_WHERE_MISSED : 1);
  return Math.min(LONGEST_PERIOD_MS, Math.max(heartbeatEveryMs, share * nodeCount));
}

/** Least pause between a sign of life and one that refutes a suspicion. Unit: ms. */
const REFUTE_PAUSE_MS = 1_000;
/** After the first link of a node that had none: neighbours take a moment before they pass on what it says. Unit: ms. */
const INTRODUCTION_PAUSES_MS = [300, 1_200, 3_000];

/** When this node speaks of itself: its certificate and profile when they change or grow old, and signs of life at a pace that the mesh can bear. */
export class SelfTeller implements Startable {
  readonly #components: SelfTellerComponents;
  readonly #options: SelfTellerOptions;
  readonly #tasks: Tasks;
  #profile: Uint8Array | undefined;
  /** Something newer of this node came from elsewhere, of an earlier life of it: the profile is to be told again. */
  #isOvertaken = false;
  #lastBeatMs = Number.NEGATIVE_INFINITY;
  #refuting: Timer | undefined;
  #alone: Disposable | undefined;
  #isIntroducing = false;
  #isStarted = false;

  constructor(components: SelfTellerComponents, options: SelfTellerOptions) {
    this.#components = components;
    this.#options = options;
    this.#tasks = new Tasks(components.onFailure);
  }

  /** Whether this node speaks: not before its clock is noted (H1), and not once it was stopped. */
  get isStarted(): boolean {
    return this.#isStarted;
  }

  async start(): Promise<void> {
    this.#isStarted = true;
    this.#tellCertificate();
    this.#tellProfile();
    this.#beat();
    this.#tasks.run((signal) => this.#beatForEver(signal));
    const { messenger } = this.#components;
    if (messenger.connected().length > 0) this.#introduceOneself();
    this.#alone = messenger.onPeer(({ type }) => {
      if (type === 'opened' && messenger.connected().length === 1) this.#introduceOneself();
    });
  }

  async stop(): Promise<void> {
    this.#isStarted = false;
    this.#alone?.[Symbol.dispose]();
    this.#refuting?.cancel();
    await this.#tasks.stop();
  }

  /** @throws AspenError INVALID_PARAMS when it is over the limits of a profile. */
  announce(profile: NodeProfile): void {
    const bytes = encodeProfile(profile);
    if (this.#profile !== undefined && Buffer.compare(bytes, this.#profile) === 0) return;
    this.#profile = bytes;
    if (this.#isStarted) this.#tellProfile();
    else this.#components.book.describe(this.#components.self, profile);
  }

  /** Deletes all that was told, and tells no more until it announces itself again. */
  withdraw(): void {
    this.#profile = undefined;
    this.#components.own.deleteAll();
  }

  /** H5 Whoever hears something newer of its own gives a later sign of life at once, and tells its profile anew: what it said since was not heard. */
  overtaken(): void {
    this.#isOvertaken = true;
    if (this.#isStarted) this.refute();
  }

  /** D5 Whoever hears that it is missed gives a sign of life at once, but not more than one a second. */
  refute(): void {
    const { clock } = this.#components;
    const waitMs = Math.max(0, this.#lastBeatMs + REFUTE_PAUSE_MS - clock.monotonicMs());
    this.#refuting ??= clock.setTimer(waitMs, () => {
      this.#refuting = undefined;
      if (this.#isStarted) this.#beat();
    });
  }

  async #beatForEver(signal: AbortSignal): Promise<void> {
    const { clock, random, book } = this.#components;
    while (!signal.aborted) {
      await sleep(clock, toBeat(clock, this.#periodMs * (0.95 + randomFloat(random) / 10)), signal);
      this.#beat();
      book.sweep();
    }
  }

  get #periodMs(): number {
    return heartbeatPeriodMs(this.#components.nodes.ownerCount, this.#options);
  }

  #beat(): void {
    const { whereabouts, own, liveness, clock } = this.#components;
    whereabouts.measure();
    if (this.#isOvertaken || own.isDueForRenewal(PROFILE_KEY)) this.#tellProfile();
    if (this.#profile === undefined) return; // not announced yet, or withdrawn
    this.#tellCertificate();
    const heartbeat = { periodMs: this.#periodMs, coordinate: whereabouts.coordinate };
    this.#lastBeatMs = clock.monotonicMs();
    own.write(HEARTBEAT_KEY, encodeHeartbeat(heartbeat));
    whereabouts.tellLinks();
    liveness.tellMissed();
  }

  #tellCertificate(): void {
    const certificate = this.#components.certificate?.();
    if (certificate !== undefined) this.#components.own.keepTold(CERTIFICATE_KEY, certificate);
  }

  #tellProfile(): void {
    this.#isOvertaken = false;
    if (this.#profile !== undefined) this.#components.own.write(PROFILE_KEY, this.#profile);
  }

  /**
   * C12 What was told while nobody was linked was heard by nobody, and in a large mesh it takes long until anti-entropy has carried it everywhere. Said
   * anew with a sign of life, since what was said before is not passed on twice.
   */
  #introduceOneself(): void {
    if (this.#isIntroducing) return;
    this.#isIntroducing = true;
    this.#tasks.run(async (signal) => {
      const { clock, own } = this.#components;
      for (const pauseMs of INTRODUCTION_PAUSES_MS) {
        await sleep(clock, pauseMs, signal);
        for (const key of [CERTIFICATE_KEY, PROFILE_KEY]) own.repeat(key);
        this.#beat();
      }
      this.#isIntroducing = false;
    });
  }
}
