import { AspenError, type Clock, type PeerId, sleep, unlessAborted } from '../base/index.ts';
import { groupMethod, isWorthAsking, noQuorum, unanswered } from './call-errors.ts';
import type { CallOptions, Query } from './group.ts';
import { askHere } from './group-server.ts';
import type { LeaderFinder } from './leader-finder.ts';
import type { LeaderTries } from './leader-tries.ts';
import type { Replica } from './replica/index.ts';

/** A leader that has not answered for so long is asked again, or the next one is. */
export const TRY_TIMEOUT_MS = 2_500;
/** Between two tries, at first. */
export const PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 250;

export interface LeaderQuestionsComponents {
  readonly self: PeerId;
  readonly clock: Clock;
  readonly replica: Replica;
  readonly finder: LeaderFinder;
  readonly tries: LeaderTries;
}

export interface LeaderQuestionsOptions {
  readonly group: string;
  /** Unit: ms. */
  readonly timeoutMs: number;
  /** A question for which no leader was found for this long gives up before its timeout. */
  readonly leaderlessMs: number;
}

/** How the leader is asked, from its own node and from another. */
interface Question {
  /** For messages. */
  readonly what: string;
  readonly here: () => Promise<unknown>;
  readonly there: { readonly method: string; readonly body: unknown };
}

type Tried = { readonly value: unknown } | { readonly failed: AspenError };

/** Reads, and questions to parts of the leader: they change nothing, so they are asked again until there is an answer. */
export class LeaderQuestions {
  readonly #components: LeaderQuestionsComponents;
  readonly #options: LeaderQuestionsOptions;

  constructor(components: LeaderQuestionsComponents, options: LeaderQuestionsOptions) {
    this.#components = components;
    this.#options = options;
  }

  query({ module, kind, body = null, consistency }: Query, options: CallOptions): Promise<unknown> {
    const { replica } = this.#components;
    const isStale = consistency === 'stale';
    const isByLease = consistency === 'lease';
    const answer = () => replica.query(module, kind, body);
    if (isStale && replica.isMember) return Promise.resolve().then(answer);
    const here = async () => {
      await (isByLease ? replica.confirmByLease() : replica.confirm());
      return answer();
    };
    const method = groupMethod(this.#options.group, 'query');
    const there = { method, body: { module, kind, body, isStale, isByLease } };
    return this.#call({ what: `query ${module}.${kind}`, here, there }, options);
  }

  askLeader(method: string, body: unknown, options: CallOptions): Promise<unknown> {
    const { replica, self } = this.#components;
    const here = async () => askHere(replica, method, { from: self, body });
    const there = { method: groupMethod(this.#options.group, 'ask'), body: { method, body } };
    return this.#call({ what: method, here, there }, options);
  }

  async #call(
    question: Question,
    { timeoutMs = this.#options.timeoutMs, leaderlessMs = this.#options.leaderlessMs, signal }: CallOptions,
  ): Promise<unknown> {
    const { clock, replica, finder, self } = this.#components;
    const startedAtMs = clock.monotonicMs();
    let leaderSeenAtMs = startedAtMs;
    let isUnknown = false;
    for (let pauseMs = PAUSE_MS; ; pauseMs = nextPause(pauseMs)) {
      signal?.throwIfAborted();
      const leader = replica.leading !== undefined ? self : await unlessAborted(finder.find(), signal);
      const nowMs = clock.monotonicMs();
      if (leader !== undefined) leaderSeenAtMs = nowMs;
      const leftMs = startedAtMs + timeoutMs - nowMs;
      if (leftMs <= 0 || nowMs - leaderSeenAtMs >= leaderlessMs) {
        const waitedMs = nowMs - startedAtMs;
        throw isUnknown ? unanswered(question.what, waitedMs) : noQuorum(question.what, waitedMs);
      }
      if (leader !== undefined) {
        const tried = await this.#try(leader, question, { leftMs, signal });
        if ('value' in tried) return tried.value;
        if (tried.failed.outcome === 'unknown') isUnknown = true;
      }
      await sleep(clock, Math.min(pauseMs, leftMs), signal);
    }
  }

  async #try(
    leader: PeerId,
    { here, there: { method, body } }: Question,
    { leftMs, signal }: { readonly leftMs: number; readonly signal: AbortSignal | undefined },
  ): Promise<Tried> {
    const { self, finder, tries } = this.#components;
    const timeoutMs = Math.min(TRY_TIMEOUT_MS, leftMs);
    try {
      if (leader === self) return { value: await unlessAborted(here(), signal) };
      return { value: await tries.request(leader, method, body, { timeoutMs, signal }) };
    } catch (error) {
      if (!(error instanceof AspenError) || !isWorthAsking(error)) throw error;
      if (error.code === 'NOT_LEADER') finder.refused(leader, error.details.leader);
      else if (leader !== self) finder.failed(leader);
      return { failed: error };
    }
  }
}

/** @returns how long to wait before the try after the next. */
export function nextPause(pauseMs: number): number {
  return Math.min(LONGEST_PAUSE_MS, pauseMs * 2);
}
