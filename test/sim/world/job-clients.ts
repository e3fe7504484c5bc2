import {
  AspenError,
  type Random,
  randomChance,
  randomFloat,
  randomInt,
  randomPick,
} from '../../../src/base/index.ts';
import { WORLD_EPOCH_MS } from '../ground/sim-clock.ts';
import type { Spec } from './story-world.ts';
import type { World } from './world.ts';

/** Longest pause of a client between two jobs. Unit: ms. */
const LONGEST_PAUSE_MS = 1_500;
const LONGEST_WORK_MS = 4_000;
const TRIES_LIMIT = 5;
const WAIT_MS = 5_000;
const KNOWN_LIMIT = 20;

interface Submission {
  readonly id: string;
  readonly idempotencyKey?: string;
  readonly workMs: number;
  /** A program, whose runs are watched; else the executor that only waits. */
  readonly isProgram: boolean;
  readonly delayMs: number;
  readonly dependsOn?: { id: string; on: 'success' | 'failure' | 'any' }[];
  readonly onDependencyFailure?: 'fail' | 'skip' | 'continue';
  readonly timeoutMs?: number;
  readonly queueTimeoutMs?: number;
  readonly deadlineAt?: number;
  readonly priority?: number;
}

/**
 * Clients that submit jobs through whichever node chance names. A submission with unknown outcome is sent again under the same id,
 * through any node; a job is accepted as soon as one answer says so.
 */
export class JobClients {
  readonly #world: World;
  readonly #random: Random;
  #lastJob = 0;
  /** The latest jobs that somebody accepted: what others may wait for. */
  #known: string[] = [];

  constructor(components: { readonly world: World; readonly random: Random }) {
    this.#world = components.world;
    this.#random = components.random;
  }

  async run(client: string, untilMs: number): Promise<void> {
    while (this.#world.nowMs < untilMs) {
      await this.#liveOfOneJob(client);
      await this.#world.pause(randomFloat(this.#random) * LONGEST_PAUSE_MS);
    }
  }

  async #liveOfOneJob(client: string): Promise<void> {
    const submission = this.#draw(client);
    const id = await this.#submit(submission);
    if (id === undefined) return;
    this.#known = [...this.#known, id].slice(-KNOWN_LIMIT);
    if (submission.deadlineAt !== undefined && randomChance(this.#random, 0.5)) await this.#pause(id);
    if (submission.idempotencyKey !== undefined) await this.#submitAgain(submission, id);
    if (randomChance(this.#random, 0.2)) await this.#cancel(id);
    if (randomChance(this.#random, 0.3)) await this.#wait(id);
  }

  #draw(client: string): Submission {
    this.#lastJob += 1;
    const id = `job_${client}-${this.#lastJob}`;
    return {
      id,
      workMs: Math.floor(randomFloat(this.#random) ** 2 * LONGEST_WORK_MS),
      isProgram: randomChance(this.#random, 0.5),
      delayMs: randomChance(this.#random, 0.2) ? randomInt(this.#random, { from: 1, to: 3_000 }) : 0,
      ...(randomChance(this.#random, 0.25) && { idempotencyKey: `key-${id}` }),
      ...this.#drawLimits(),
      ...(this.#known.length > 0 && randomChance(this.#random, 0.4) && this.#drawParents()),
    };
  }

  #drawLimits(): Partial<Submission> {
    const random = this.#random;
    return {
      ...(randomChance(random, 0.3) && { timeoutMs: randomInt(random, { from: 200, to: 1_500 }) }),
      ...(randomChance(random, 0.1) && { queueTimeoutMs: randomInt(random, { from: 100, to: 10_000 }) }),
      ...(randomChance(random, 0.15) && {
        deadlineAt:
          WORLD_EPOCH_MS + Math.floor(this.#world.nowMs) + randomInt(random, { from: 500, to: 15_000 }),
      }),
      ...(randomChance(random, 0.3) && { priority: randomInt(random, { from: 1, to: 11 }) }),
    };
  }

  /** Whoever waits for what has ended is decided at once, so nothing waits for ever. */
  #drawParents(): Partial<Submission> {
    const random = this.#random;
    const names = new Set([randomPick(random, this.#known), randomPick(random, this.#known)] as string[]);
    const ons = ['success', 'success', 'failure', 'any'] as const;
    const policies = ['fail', 'skip', 'continue'] as const;
    return {
      dependsOn: [...names].map((id) => ({ id, on: randomPick(random, ons) as (typeof ons)[number] })),
      onDependencyFailure: randomPick(random, policies) as (typeof policies)[number],
    };
  }

  /** Only jobs with a deadline are paused: they end even where nobody can be reached to resume them. */
  async #pause(id: string): Promise<void> {
    for (const method of ['job.pause', 'job.resume'] as const) {
      await this.#world.pause(randomFloat(this.#random) * 500);
      try {
        await this.#someNode().call(method, { id });
      } catch (error) {
        this.#world.expectRefusal(error);
      }
    }
  }

  /** @returns the id under which it was accepted; undefined when nobody accepted it for sure. */
  async #submit(submission: Submission): Promise<string | undefined> {
    for (let tries = 1; tries <= TRIES_LIMIT; tries += 1) {
      const { answer, isWorthIt } = await this.#submitOnce(submission);
      if (answer !== undefined) return answer;
      if (!isWorthIt) return undefined;
      await this.#world.pause(200);
    }
    return undefined;
  }

  async #submitOnce({
    workMs,
    isProgram,
    ...spec
  }: Submission): Promise<{ answer?: string; isWorthIt: boolean }> {
    const work: Pick<Spec, 'type' | 'payload'> = isProgram
      ? { type: 'shell', payload: { command: 'sleep', args: [String(workMs / 1_000)] } }
      : { type: 'echo', payload: { delayMs: workMs } };
    const retry = { maxAttempts: 3, backoff: 'fixed' as const, delayMs: 100 };
    try {
      const { id } = await this.#someNode().call('job.submit', { ...work, retry, ...spec });
      this.#world.observe({ type: 'accepted', job: id });
      return { answer: id, isWorthIt: false };
    } catch (error) {
      this.#world.expectRefusal(error);
      this.#world.note(`${spec.id} not submitted: ${String(error)}`);
      return { isWorthIt: error instanceof AspenError && error.outcome === 'unknown' };
    }
  }

  /** One key names one job, whichever node is asked and whatever id the second submission brings. */
  async #submitAgain(submission: Submission, first: string): Promise<void> {
    const { answer } = await this.#submitOnce({ ...submission, id: `${submission.id}-again` });
    if (answer !== undefined && answer !== first)
      this.#world.breach(`key ${submission.idempotencyKey} names ${first} and ${answer}`);
  }

  async #cancel(id: string): Promise<void> {
    await this.#world.pause(randomFloat(this.#random) * 1_000);
    try {
      const { state } = await this.#someNode().call('job.cancel', { id, reason: 'chance' });
      if (state === 'cancelled') this.#world.observe({ type: 'ended', job: id, state });
    } catch (error) {
      this.#world.expectRefusal(error);
    }
  }

  async #wait(id: string): Promise<void> {
    try {
      const { state } = await this.#someNode().call('job.wait', { id, timeoutMs: WAIT_MS });
      this.#world.observe({ type: 'ended', job: id, state });
    } catch (error) {
      this.#world.expectRefusal(error);
    }
  }

  #someNode() {
    return this.#world.pickNode(this.#random);
  }
}
