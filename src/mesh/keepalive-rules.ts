/**
 * When a link is asked for a sign of life, counted in ticks of the channel's keep-alive: while a process is held up its ticks are too, and
 * it takes nobody for dead because it did not listen itself.
 *
 * - Z1 A path that swallows everything is found out: at most the pause, and then {@link LifeLimits.deadAfterTicks}, after it went dead; at
 *   most a tick and that many where somebody needs it.
 * - Z2 Whoever uses a link pays a ping per tick; an idle one is asked ever more rarely, up to a bound that the path has survived.
 * - Z9 Who spoke of its own accord since the last tick need not be asked whether it is there, only now and then how far it is. It is not
 *   taken for dead any later for that: the tick in which it was not asked counts as one without an answer.
 */
export interface LifeFacts {
  /** Since the earliest question that was not answered; undefined when all were. */
  readonly unansweredTicks: number | undefined;
  readonly sinceAskedTicks: number;
  /** Since a frame went either way. */
  readonly idleTicks: number;
  /** It said something since the last tick that was no answer. */
  readonly hasSpoken: boolean;
}

export interface LifeLimits {
  /** Ticks without an answer after which the path is dead. */
  readonly deadAfterTicks: number;
  /** Longest pause between two questions. */
  readonly longestPauseTicks: number;
}

/** After so many ticks without a frame nothing depends on the link. */
const IDLE_AFTER_TICKS = 4;
/** How often a peer is asked that speaks all the time: the answer is what the round trip is measured by. */
const MEASURED_EVERY_TICKS = 10;
/** The pause is this part of the time for which the link has been idle: a pause is survived before a longer one is tried. */
const PAUSE_PART = 2;

/** @returns the pause between two questions. Unit: ticks, >= 1. */
export function pauseTicks(idleTicks: number, longestPauseTicks: number): number {
  if (idleTicks < IDLE_AFTER_TICKS) return 1;
  return Math.max(1, Math.min(longestPauseTicks, Math.floor(idleTicks / PAUSE_PART)));
}

/** @returns what to do with a tick; `spare`: it would be asked now, if it had not spoken. */
export function nextLifeStep(
  { unansweredTicks, sinceAskedTicks, idleTicks, hasSpoken }: LifeFacts,
  { deadAfterTicks, longestPauseTicks }: LifeLimits,
): 'wait' | 'ask' | 'dead' | 'spare' {
  if (unansweredTicks !== undefined) return unansweredTicks >= deadAfterTicks ? 'dead' : 'ask'; // Z1
  if (sinceAskedTicks < pauseTicks(idleTicks, longestPauseTicks)) return 'wait'; // Z2
  return hasSpoken && sinceAskedTicks < MEASURED_EVERY_TICKS ? 'spare' : 'ask'; // Z9
}

/** How much the two ends of a link have to save: neither runs on a battery, one does, or one has not much left. */
export type Thrift = 'none' | 'saving' | 'scarce';

/** Each question wakes two machines, and a radio that was asleep costs far more than the bytes. */
const PAUSE_FACTORS: Readonly<Record<Thrift, number>> = { none: 1, saving: 3, scarce: 6 };

/** Z8 What nothing depends on may be found dead later where that saves a battery; what is used is asked as often as ever. @returns ticks */
export function thriftyPause(longestTicks: number, thrift: Thrift): number {
  return longestTicks * PAUSE_FACTORS[thrift];
}

/** Most peers of which it is remembered that a path to them is forgotten soon. */
const PEERS_LIMIT = 1_024;

/**
 * How long paths may be left alone. A path that died during a pause is taken for one that something on the way - a NAT, a firewall - has
 * forgotten, and the next one to that peer is asked twice as often, until this node is in another network.
 */
export class PauseLimits {
  readonly #longestTicks: number;
  readonly #learnt = new Map<string, number>();
  #thriftOf: (peerId: string) => Thrift = () => 'none';

  constructor(longestTicks: number) {
    this.#longestTicks = longestTicks;
  }

  /** @param thriftOf what the link with a peer has to save now; asked with every tick of every link. */
  spare(thriftOf: (peerId: string) => Thrift): void {
    this.#thriftOf = thriftOf;
  }

  /** Unit: ticks, >= 1. */
  longestFor(peerId: string): number {
    const longestTicks = thriftyPause(this.#longestTicks, this.#thriftOf(peerId));
    return Math.min(this.#learnt.get(peerId) ?? longestTicks, longestTicks);
  }

  /** The path was dead when it was asked after a pause; one of a tick teaches nothing. */
  diedAfter(peerId: string, pauseTicks: number): void {
    if (pauseTicks <= 1) return;
    this.#learnt.delete(peerId);
    this.#learnt.set(peerId, Math.max(1, Math.floor(pauseTicks / 2)));
    const [oldest] = this.#learnt.keys();
    if (oldest !== undefined && this.#learnt.size > PEERS_LIMIT) this.#learnt.delete(oldest);
  }

  /** In another network everything may be different. */
  clear(): void {
    this.#learnt.clear();
  }
}
