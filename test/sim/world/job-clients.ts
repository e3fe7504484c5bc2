import {
  AspenError,
  type Random,
  randomChance,
  randomFloat,
  randomInt,
  randomPick,
} from '../../../src/base/index.ts';
import { SLICE_JOBS } from '../../../src/jobs/index.ts';
import type { ParamsInput, Result } from '../../../src/rpc/index.ts';
import type { Draft, JobDraws, JobFeature } from './job-draws.ts';
import type { Method, SimNode } from './sim-node.ts';
import type { World } from './world.ts';

/** Longest pause of a client between two jobs. Unit: ms. */
const LONGEST_PAUSE_MS = 1_500;
const TRIES_LIMIT = 5;
const WAIT_MS = 5_000;
const KNOWN_LIMIT = 20;
const BULK_LIMIT = 5;

/**
 * Clients that submit jobs through whichever node chance names, and then treat them as clients do. A submission with unknown outcome is sent
 * again under the same id, through any node; a job is accepted as soon as one answer says so.
 */
export class JobClients {
  readonly #world: World;
  readonly #random: Random;
  readonly #draws: JobDraws;
  /** The job that a key names. */
  readonly #holders = new Map<string, string>();
  /** Accepted jobs of which the records are kept for longer than a run lasts. */
  readonly #kept = new Set<string>();
  #lastJob = 0;
  /** The latest jobs that somebody accepted: what others may wait for. */
  #known: string[] = [];

  constructor(components: { readonly world: World; readonly random: Random; readonly draws: JobDraws }) {
    this.#world = components.world;
    this.#random = components.random;
    this.#draws = components.draws;
  }

  async run(client: string, untilMs: number): Promise<void> {
    while (this.#world.nowMs < untilMs) {
      if (this.#when('bulks', 0.2)) await this.#submitMany(client);
      else await this.#liveOfOneJob(client);
      if (this.#when('reruns', 0.4)) await this.#redriveSome();
      await this.#world.pause(randomFloat(this.#random) * LONGEST_PAUSE_MS);
    }
  }

  /** Asks for every job that must still be known, each at some member. */
  async surveyAll(): Promise<void> {
    for (const id of this.#kept) {
      const { name } = randomPick(this.#random, this.#world.members) as SimNode;
      try {
        const { state } = await this.#world.node(name).call('job.get', { id });
        this.#world.observe({ type: 'toldOfEnd', job: id, state });
      } catch (error) {
        this.#world.expectRefusal(error);
        if (error instanceof AspenError && error.code === 'NOT_FOUND')
          this.#world.breach(`${id} was accepted and is not known any more`);
      }
    }
  }

  async #liveOfOneJob(client: string): Promise<void> {
    const draft = this.#draw(client, this.#known);
    const id = await this.#submit(draft);
    if (id === undefined) return;
    this.#remember([id]);
    const { spec, isRepeatable } = draft;
    const isOwn = id === spec.id; // a key may have led to a job without a deadline
    if (spec.deadlineAt !== undefined && randomChance(this.#random, 0.5) && isOwn) await this.#pauseJob(id);
    if (spec.idempotencyKey !== undefined && isRepeatable)
      await this.#submitOnce({ ...draft, spec: { ...spec, id: `${spec.id}-again` } });
    if (randomChance(this.#random, 0.2)) await this.#cancel(id);
    if (randomChance(this.#random, 0.3)) await this.#wait(id);
    if (!isRepeatable && this.#when('reruns', 0.3)) await this.#tried('dlq.purge', { id });
  }

  #draw(client: string, known: readonly string[]): Draft {
    this.#lastJob += 1;
    return this.#draws.draw(`job_${client}-${this.#lastJob}`, known);
  }

  /** Those of one command may wait for each other, those of a sliced bulk for nobody; each has its own outcome. */
  async #submitMany(client: string): Promise<void> {
    const isSliced = randomChance(this.#random, 0.05);
    const count = isSliced ? SLICE_JOBS + 1 : randomInt(this.#random, { from: 2, to: BULK_LIMIT + 1 });
    const drafts: Draft[] = [];
    while (drafts.length < count) {
      const parents = isSliced ? [] : [...this.#known, ...drafts.map(({ spec }) => spec.id)];
      drafts.push(this.#draw(client, parents));
    }
    const answer = await this.#tried('job.submitMany', { jobs: drafts.map(({ spec }) => spec) });
    const accepted = (answer?.results ?? []).flatMap((result, at) =>
      'error' in result ? [] : [this.#accept(drafts[at] as Draft, result.id)],
    );
    this.#remember(accepted);
  }

  /** @returns the id under which it was accepted; undefined when nobody accepted it for sure. */
  async #submit(draft: Draft): Promise<string | undefined> {
    for (let tries = 1; tries <= TRIES_LIMIT; tries += 1) {
      const { answer, isWorthIt } = await this.#submitOnce(draft);
      if (answer !== undefined || !isWorthIt || !draft.isRepeatable) return answer;
      await this.#world.pause(200);
    }
    return undefined;
  }

  async #submitOnce(draft: Draft): Promise<{ answer?: string; isWorthIt: boolean }> {
    try {
      const { id } = await this.#someNode().call('job.submit', draft.spec);
      return { answer: this.#accept(draft, id), isWorthIt: false };
    } catch (error) {
      this.#world.expectRefusal(error);
      this.#world.note(`${draft.spec.id} not submitted: ${String(error)}`);
      return { isWorthIt: error instanceof AspenError && error.outcome === 'unknown' };
    }
  }

  /** One key names one job, whichever node is asked and whatever id a later submission brings. */
  #accept({ spec: { idempotencyKey: key }, isRepeatable }: Draft, id: string): string {
    this.#world.observe({ type: 'accepted', job: id });
    if (isRepeatable) this.#kept.add(id);
    if (key === undefined) return id;
    const holder = this.#holders.get(key) ?? id;
    this.#holders.set(key, holder);
    if (holder !== id) this.#world.breach(`key ${key} names ${holder} and ${id}`);
    return id;
  }

  /** Only jobs with a deadline are paused: they end even where nobody can be reached to resume them. */
  async #pauseJob(id: string): Promise<void> {
    for (const method of ['job.pause', 'job.resume'] as const) {
      await this.#world.pause(randomFloat(this.#random) * 500);
      await this.#tried(method, { id });
    }
  }

  async #cancel(id: string): Promise<void> {
    await this.#world.pause(randomFloat(this.#random) * 1_000);
    const job = await this.#tried('job.cancel', { id, reason: 'chance' });
    if (job?.state === 'cancelled') this.#world.observe({ type: 'toldOfEnd', job: id, state: job.state });
  }

  async #wait(id: string): Promise<void> {
    const job = await this.#tried('job.wait', { id, timeoutMs: WAIT_MS });
    if (job !== undefined) this.#world.observe({ type: 'toldOfEnd', job: id, state: job.state });
  }

  /** One job that ended, or all that are dead, as it comes. */
  async #redriveSome(): Promise<void> {
    const id = randomPick(this.#random, this.#known);
    if (id === undefined || randomChance(this.#random, 0.3))
      await this.#tried('dlq.redrive', { filter: {}, limit: randomInt(this.#random, { from: 1, to: 10 }) });
    else if (randomChance(this.#random, 0.5)) await this.#tried('job.retry', { id });
    else await this.#tried('dlq.redrive', { id });
  }

  #remember(ids: readonly string[]): void {
    this.#known = [...this.#known, ...ids].slice(-KNOWN_LIMIT);
  }

  #when(feature: JobFeature, share: number): boolean {
    return this.#draws.has(feature) && randomChance(this.#random, share);
  }

  #tried<M extends Method>(method: M, params: ParamsInput<M>): Promise<Result<M> | undefined> {
    return this.#world.tried(this.#someNode(), method, params);
  }

  #someNode(): SimNode {
    return this.#world.pickNode(this.#random);
  }
}
