import type { Observation, Observer } from './observers.ts';

interface Running {
  readonly node: string;
  readonly token: number;
  readonly rank: number | undefined;
  /** The machine stood still meanwhile: nobody there could stop it in time, and it did nothing while it stood. */
  isExcused: boolean;
}

/**
 * No two attempts of a job execute at once, and none begins after a later one did. What a machine ran that stood still (asleep, or stopped
 * as a whole) is excused: it is stopped as soon as the machine goes on, and its results are fenced. A node that was expelled is not waited for
 * (P4 of the invariants of jobs): what it still runs is nobody's. The members of a group are one attempt: each has a rank and a node of its own.
 */
export class AttemptsNeverOverlap implements Observer {
  readonly name = 'attempts never overlap';
  readonly #running = new Map<string, Running[]>();
  readonly #expelled = new Set<string>();
  readonly #newest = new Map<string, number>();
  readonly #broken: string[] = [];

  observe(event: Observation): void {
    if (event.type === 'expelled') {
      this.#expelled.add(event.node);
      this.#excuse(event.node);
    }
    if (event.type === 'runs' && !this.#expelled.has(event.node)) this.#begins(event);
    if (event.type === 'stopped') this.#ends(event);
    if (event.type === 'stoodStill') this.#excuse(event.node);
  }

  check(): readonly string[] {
    return this.#broken;
  }

  #begins({ job, token, node, rank }: Extract<Observation, { type: 'runs' }>): void {
    const newest = this.#newest.get(job) ?? token;
    if (newest > token)
      this.#broken.push(`${job} begins with token ${token} on ${node}, after ${newest} began`);
    this.#newest.set(job, Math.max(newest, token));
    const attempts = this.#running.get(job) ?? [];
    for (const other of attempts) {
      if (other.isExcused || areMembers(other, { token, node, rank })) continue;
      this.#broken.push(
        `${job} begins with token ${token} on ${node} while ${other.node} runs it with ${other.token}`,
      );
    }
    attempts.push({ node, token, rank, isExcused: false });
    this.#running.set(job, attempts);
  }

  #excuse(node: string): void {
    for (const attempts of this.#running.values())
      for (const attempt of attempts) attempt.isExcused ||= attempt.node === node;
  }

  #ends({ job, token, node }: Extract<Observation, { type: 'stopped' }>): void {
    const left = (this.#running.get(job) ?? []).filter(
      (attempt) => attempt.token !== token || attempt.node !== node,
    );
    if (left.length > 0) this.#running.set(job, left);
    else this.#running.delete(job);
  }
}

type Member = Pick<Running, 'node' | 'token' | 'rank'>;

function areMembers(one: Member, other: Member): boolean {
  const areOfGroup = one.rank !== undefined && other.rank !== undefined;
  return areOfGroup && one.token === other.token && one.rank !== other.rank && one.node !== other.node;
}
