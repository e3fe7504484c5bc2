import type { Clock } from '../base/index.ts';
import { type Rate, RateCredit } from './rate-credit.ts';
import { SourceBudget } from './source-budget.ts';

/**
 * How an address stands with this node.
 *
 * - `known`: members have come from it, or are reached there.
 * - `fresh`: few have begun there lately, and not many more were turned away.
 * - `doubtful`: more have or were, and none of them was a member. It is fresh again when nobody has come from it for a minute.
 */
export type SourceStanding = 'known' | 'fresh' | 'doubtful';

/** A handshake that may begin. */
export interface Arrival {
  /** Nobody waits for it any more, or it has told who is there. May be called again. */
  end(): void;
  /** It was a member's. */
  proved(): void;
}

export interface ArrivalLimits {
  /** Handshakes under way. */
  readonly places: number;
  /** Of one source. */
  readonly placesPerSource: number;
}

/**
 * Handshakes that begin, by the standing of where they come from: what all addresses of that standing may cost together. One costs about half a
 * millisecond of the thread that members' jobs are told on.
 */
const RATES: Readonly<Record<SourceStanding, Rate>> = {
  known: { burst: 512, perSecond: 256 },
  fresh: { burst: 512, perSecond: 128 },
  doubtful: { burst: 128, perSecond: 32 },
};
/** Those of one source. Many agents may live behind one address. */
const KNOWN_SOURCE: Rate = { burst: 128, perSecond: 16 };
const STRANGE_SOURCE: Rate = { burst: 64, perSecond: 1 / 4 };
/** Handshakes that a source begins before it is doubtful. */
const FRESH_COUNT = 4;
/** Connections that are turned away before their source is doubtful: a newcomer tries again while the first of a flood hold what is for newcomers. */
const TURNED_AWAY_COUNT = 16;
/** Unit: ms. */
const REST_MS = 60_000;
/** Of all places: those that whoever is doubtful holds at most, and those of everybody who is not known. */
const DOUBTFUL_SHARE = 1 / 4;
const STRANGE_SHARE = 3 / 4;
/** Sources that are remembered; of more of them the one that came longest ago is forgotten. */
const KNOWN_LIMIT = 1_024;
const STRANGE_LIMIT = 4_096;

interface Strange {
  readonly credit: RateCredit;
  /** Since the last rest. */
  begunCount: number;
  turnedAwayCount: number;
  cameMs: number;
}

/**
 * Which handshakes of whom nobody knows yet may begin (F1, F4).
 *
 * - F4 What handshakes cost is bounded for each standing by itself: whoever floods is doubtful soon, and takes neither the time nor the places
 *   that members and newcomers from other addresses need. A member's handshake costs its address nothing.
 */
export class ArrivalBudget {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #places: SourceBudget;
  readonly #placeLimits: Readonly<Record<SourceStanding, number>>;
  readonly #held: Record<SourceStanding, number> = { known: 0, fresh: 0, doubtful: 0 };
  readonly #credits: Readonly<Record<SourceStanding, RateCredit>>;
  readonly #known = new Map<string, RateCredit>();
  readonly #strange = new Map<string, Strange>();
  #refusedCount = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>, { places, placesPerSource }: ArrivalLimits) {
    this.#clock = clock;
    this.#places = new SourceBudget({ perSourceLimit: placesPerSource, totalLimit: places });
    this.#placeLimits = {
      known: places,
      fresh: Math.ceil(places * STRANGE_SHARE),
      doubtful: Math.ceil(places * DOUBTFUL_SHARE),
    };
    const nowMs = clock.monotonicMs();
    this.#credits = {
      known: new RateCredit(RATES.known, nowMs),
      fresh: new RateCredit(RATES.fresh, nowMs),
      doubtful: new RateCredit(RATES.doubtful, nowMs),
    };
  }

  /** Under way. */
  get total(): number {
    return this.#places.total;
  }

  /** Since the start. */
  get refusedCount(): number {
    return this.#refusedCount;
  }

  /** @returns undefined when it may not begin. */
  take(source: string): Arrival | undefined {
    const nowMs = this.#clock.monotonicMs();
    const own = this.#comes(source, nowMs);
    const standing = this.#standing(source, nowMs);
    const shared = this.#credits[standing];
    const mayBegin = own.left(nowMs) >= 1 && shared.left(nowMs) >= 1 && this.#hasPlace(standing);
    const giveBack = mayBegin ? this.#places.take(source) : undefined;
    const strange = this.#strange.get(source);
    if (giveBack === undefined) {
      this.#refusedCount += 1;
      if (strange !== undefined) strange.turnedAwayCount += 1;
      return undefined;
    }
    if (strange !== undefined) strange.begunCount += 1;
    own.spend();
    shared.spend();
    this.#held[standing] += 1;
    return this.#arrival({ source, standing, giveBack, credits: [own, shared] });
  }

  /** Members come from there, or are reached there. */
  prove(source: string): void {
    const credit = this.#known.get(source) ?? new RateCredit(KNOWN_SOURCE, this.#clock.monotonicMs());
    this.#strange.delete(source);
    remember(this.#known, source, { value: credit, limit: KNOWN_LIMIT });
  }

  standingOf(source: string): SourceStanding {
    return this.#standing(source, this.#clock.monotonicMs());
  }

  #arrival({ source, standing, giveBack, credits }: Begun): Arrival {
    let isOver = false;
    let isProved = false;
    return {
      end: () => {
        if (isOver) return;
        isOver = true;
        this.#held[standing] -= 1;
        giveBack();
      },
      proved: () => {
        if (isProved) return;
        isProved = true;
        for (const credit of credits) credit.giveBack();
        this.prove(source);
      },
    };
  }

  #hasPlace(standing: SourceStanding): boolean {
    const { fresh, doubtful } = this.#held;
    const held = { known: this.total, fresh: fresh + doubtful, doubtful };
    return held[standing] < this.#placeLimits[standing];
  }

  #comes(source: string, nowMs: number): RateCredit {
    const known = this.#known.get(source);
    if (known !== undefined) return known;
    const strange = this.#strange.get(source) ?? {
      credit: new RateCredit(STRANGE_SOURCE, nowMs),
      begunCount: 0,
      turnedAwayCount: 0,
      cameMs: nowMs,
    };
    if (hasRested(strange, nowMs)) {
      strange.begunCount = 0;
      strange.turnedAwayCount = 0;
    }
    strange.cameMs = nowMs;
    remember(this.#strange, source, { value: strange, limit: STRANGE_LIMIT });
    return strange.credit;
  }

  #standing(source: string, nowMs: number): SourceStanding {
    if (this.#known.has(source)) return 'known';
    const strange = this.#strange.get(source);
    if (strange === undefined || hasRested(strange, nowMs)) return 'fresh';
    const isFresh = strange.begunCount < FRESH_COUNT && strange.turnedAwayCount < TURNED_AWAY_COUNT;
    return isFresh ? 'fresh' : 'doubtful';
  }
}

interface Begun {
  readonly source: string;
  readonly standing: SourceStanding;
  readonly giveBack: () => void;
  readonly credits: readonly RateCredit[];
}

function hasRested({ cameMs }: Strange, nowMs: number): boolean {
  return nowMs - cameMs >= REST_MS;
}

/** The one that is remembered now is the last to be forgotten. */
function remember<T>(
  map: Map<string, T>,
  key: string,
  { value, limit }: { readonly value: T; readonly limit: number },
): void {
  map.delete(key);
  const [oldest] = map.keys();
  if (oldest !== undefined && map.size >= limit) map.delete(oldest);
  map.set(key, value);
}
