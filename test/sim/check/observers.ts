import { OnceMeansOnce } from './begun-once.ts';
import { EveryAcceptedJobEnds, JobsEndOnce } from './job-ends.ts';
import { LeaversActNoMore } from './leavers.ts';
import { LocksExclude } from './locks.ts';
import { AttemptsNeverOverlap } from './overlap.ts';
import { SleepersCompleteNothing } from './sleepers.ts';
import { NobodyAliveIsGone } from './standing.ts';
import { type Change, WatchesLeaveNothingOut } from './watches.ts';

/** What a world reports. Only what the law speaks of; nothing of how it is done. */
export type Observation =
  | { readonly type: 'leader'; readonly node: string; readonly term: number }
  /** A replica applied the command at a position; `hash` stands for the command and what became of it. */
  | { readonly type: 'applied'; readonly node: string; readonly position: number; readonly hash: string }
  /** A client was told that its write is durable. */
  | { readonly type: 'acknowledged'; readonly write: string }
  /** All writes that can be read somewhere at the end. */
  | { readonly type: 'surveyed'; readonly node: string; readonly writes: ReadonlySet<string> }
  | { readonly type: 'accepted'; readonly job: string }
  /** `position` of the command in the group's history; every replica reports it. */
  | { readonly type: 'assigned'; readonly job: string; readonly token: number; readonly position: number }
  | { readonly type: 'completed'; readonly job: string; readonly token: number; readonly position: number }
  /** A job is new, or final no more: it was asked to run once again. */
  | {
      readonly type: 'opened';
      readonly job: string;
      readonly position: number;
      /** It asks for one attempt and forgives no loss. */
      readonly isOnce?: boolean;
    }
  | { readonly type: 'ended'; readonly job: string; readonly state: string; readonly position: number }
  /** A client was told that a job has ended so. */
  | { readonly type: 'toldOfEnd'; readonly job: string; readonly state: string }
  /** A program of an attempt runs on a node, seen where programs are started; and runs no more. */
  | {
      readonly type: 'runs';
      readonly job: string;
      readonly token: number;
      readonly node: string;
      /** Of a member of a group. */
      readonly rank?: number;
    }
  | { readonly type: 'stopped'; readonly job: string; readonly token: number; readonly node: string }
  /** A machine begins to stand still: asleep, or stopped as a whole. */
  | { readonly type: 'stoodStill'; readonly node: string }
  /** A machine falls asleep, its programs with it. */
  | { readonly type: 'fallsAsleep'; readonly node: string }
  /** It slept longer than a session bears, its clocks show it, and the process that fell asleep has looked at them. */
  | { readonly type: 'slept'; readonly node: string }
  /** An operator has decided that a node no longer belongs, from now on. */
  | { readonly type: 'expelled'; readonly node: string }
  /** A node has left in good order, as it said itself. */
  | { readonly type: 'left'; readonly node: string }
  /** A client was told that it holds a lock, and until when it may rely on it; a renewal tells more of the same. Unit: ms of virtual time. */
  | {
      readonly type: 'holds';
      readonly lock: string;
      readonly token: number;
      readonly client: string;
      readonly fromMs: number;
      readonly untilMs: number;
    }
  /** It begins to give the lock back. */
  | { readonly type: 'givesBack'; readonly lock: string; readonly token: number; readonly atMs: number }
  /** A change of a key happened, as a replica that applied it has it, or a client that made it was answered. */
  | ({ readonly type: 'changed'; readonly by: string } & Change)
  /** A client watches all keys, and is to be told of what comes after the revision. */
  | { readonly type: 'watches'; readonly client: string; readonly after: number }
  /** It is told that these changes are all up to a revision. */
  | {
      readonly type: 'told';
      readonly client: string;
      readonly changes: readonly Change[];
      readonly through: number;
    }
  /** Whether a node shows another one as alive; both run. */
  | {
      readonly type: 'shown';
      readonly atMs: number;
      readonly by: string;
      readonly of: string;
      readonly isAlive: boolean;
      /** Each of the two is awake, and linked with a majority. */
      readonly isStandingWell: boolean;
    }
  /** What a node's registry amounts to at the end; equal for equal registries. */
  | { readonly type: 'registry'; readonly node: string; readonly digest: string };

/** Watches one law. */
export interface Observer {
  readonly name: string;
  observe(event: Observation): void;
  /** @returns what broke the law so far; at the end of a run also what was promised and did not come. */
  check(): readonly string[];
}

export class AtMostOneLeaderATerm implements Observer {
  readonly name = 'at most one leader a term';
  readonly #leaders = new Map<number, string>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    if (event.type !== 'leader') return;
    const first = this.#leaders.get(event.term) ?? event.node;
    this.#leaders.set(event.term, first);
    if (first !== event.node) this.#broken.push(`term ${event.term} is led by ${first} and ${event.node}`);
  }

  check(): readonly string[] {
    return this.#broken;
  }
}

export class ReplicasApplySame implements Observer {
  readonly name = 'replicas apply the same';
  readonly #applied = new Map<number, { readonly node: string; readonly hash: string }>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    if (event.type !== 'applied') return;
    const { node, position, hash } = event;
    const first = this.#applied.get(position);
    if (first === undefined) this.#applied.set(position, { node, hash });
    else if (first.hash !== hash) {
      this.#broken.push(`position ${position} is ${first.hash} on ${first.node} and ${hash} on ${node}`);
    }
  }

  check(): readonly string[] {
    return this.#broken;
  }
}

export class AcknowledgedWritesSurvive implements Observer {
  readonly name = 'acknowledged writes survive';
  readonly #acknowledged = new Set<string>();
  readonly #surveys = new Map<string, ReadonlySet<string>>();

  observe(event: Observation): void {
    if (event.type === 'acknowledged') this.#acknowledged.add(event.write);
    if (event.type === 'surveyed') this.#surveys.set(event.node, event.writes);
  }

  check(): readonly string[] {
    if (this.#surveys.size === 0) return this.#acknowledged.size === 0 ? [] : ['nobody was surveyed'];
    return [...this.#surveys].flatMap(([node, writes]) =>
      [...this.#acknowledged]
        .filter((write) => !writes.has(write))
        .map((write) => `${write} was acknowledged and is not on ${node}`),
    );
  }
}

/** Fencing tokens of a job grow with every assignment, in the order of the group's history. */
export class TokensGrow implements Observer {
  readonly name = 'fencing tokens grow';
  readonly #tokens = new Map<string, Map<number, number>>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    if (event.type !== 'assigned') return;
    const { job, token, position } = event;
    const tokens = this.#tokens.get(job) ?? new Map<number, number>();
    this.#tokens.set(job, tokens);
    const first = tokens.get(position);
    if (first !== undefined && first !== token) {
      this.#broken.push(`${job} has tokens ${first} and ${token} at position ${position}`);
    }
    tokens.set(position, first ?? token);
  }

  check(): readonly string[] {
    return [...this.#broken, ...[...this.#tokens].flatMap(([job, tokens]) => notGrowing(job, tokens))];
  }
}

function notGrowing(job: string, tokens: ReadonlyMap<number, number>): string[] {
  const inOrder = [...tokens].sort(([left], [right]) => left - right);
  return inOrder.flatMap(([position, token], at) => {
    const [, before = Number.NEGATIVE_INFINITY] = inOrder[at - 1] ?? [];
    return token > before ? [] : [`${job} gets token ${token} at position ${position}, after ${before}`];
  });
}

/** An attempt has one completion in the group's history, and no job has two. */
export class NoAttemptCompletesTwice implements Observer {
  readonly name = 'no attempt completes twice';
  readonly #completions = new Map<string, { readonly token: number; readonly position: number }>();
  readonly #newest = new Map<string, { readonly token: number; readonly position: number }>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    if (event.type === 'assigned') this.#assigned(event);
    if (event.type === 'completed') this.#completed(event);
  }

  check(): readonly string[] {
    return this.#broken;
  }

  #assigned({ job, token, position }: Extract<Observation, { type: 'assigned' }>): void {
    const newest = this.#newest.get(job);
    if (newest === undefined || position > newest.position) this.#newest.set(job, { token, position });
  }

  #completed({ job, token, position }: Extract<Observation, { type: 'completed' }>): void {
    const first = this.#completions.get(job);
    if (first === undefined) this.#completions.set(job, { token, position });
    else if (first.token !== token || first.position !== position) {
      this.#broken.push(
        `${job} completes with token ${first.token} at ${first.position} and with ${token} at ${position}`,
      );
    }
    const newest = this.#newest.get(job);
    if (newest !== undefined && newest.position < position && newest.token !== token) {
      this.#broken.push(`${job} completes with stale token ${token}; ${newest.token} was given before`);
    }
  }
}

export class RegistriesConverge implements Observer {
  readonly name = 'registries converge';
  readonly #digests = new Map<string, string>();

  observe(event: Observation): void {
    if (event.type === 'registry') this.#digests.set(event.node, event.digest);
  }

  check(): readonly string[] {
    const [first, ...others] = this.#digests;
    if (first === undefined) return [];
    return others
      .filter(([, digest]) => digest !== first[1])
      .map(([node, digest]) => `the registry is ${first[1]} on ${first[0]} and ${digest} on ${node}`);
  }
}

export function allObservers(): readonly Observer[] {
  return [
    new AtMostOneLeaderATerm(),
    new ReplicasApplySame(),
    new AcknowledgedWritesSurvive(),
    new TokensGrow(),
    new NoAttemptCompletesTwice(),
    new AttemptsNeverOverlap(),
    new OnceMeansOnce(),
    new SleepersCompleteNothing(),
    new LocksExclude(),
    new WatchesLeaveNothingOut(),
    new JobsEndOnce(),
    new EveryAcceptedJobEnds(),
    new RegistriesConverge(),
    new NobodyAliveIsGone(),
    new LeaversActNoMore(),
  ];
}
