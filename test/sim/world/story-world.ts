import { AspenError } from '../../../src/base/index.ts';
import type { Job, ParamsInput, Result } from '../../../src/rpc/index.ts';
import type { Observation } from '../check/index.ts';
import type { Method, SimNode } from './sim-node.ts';
import { World } from './world.ts';

const SETTLE_LIMIT_MS = 120_000;
const PLACED_LIMIT_MS = 30_000;

export type Spec = ParamsInput<'job.submit'>;

/** A world with the words in which stories are told. */
export class StoryWorld extends World {
  /** Where those who tell the story submit and ask, unless they say otherwise. */
  readonly home = 'n1';

  readonly #listeners: ((event: Observation) => unknown)[] = [];

  readonly network = {
    /** Nothing gets to or from this node. */
    isolate: (name: string): void => {
      const others = this.names.filter((other) => other !== name);
      this.links.block([name], others);
      this.links.block(others, [name]);
    },
    heal: (): void => this.links.calm(),
  };

  /** Tells `listener` of each observation at the very moment at which it is made. */
  onObserved(listener: (event: Observation) => unknown): void {
    this.#listeners.push(listener);
  }

  override observe(event: Observation): void {
    super.observe(event);
    for (const listener of this.#listeners) listener(event);
  }

  /** @returns how a call was refused. @throws Error when it was not. */
  async refusalOf<M extends Method>(name: string, method: M, params: ParamsInput<M>): Promise<AspenError> {
    let answer: Result<M>;
    try {
      answer = await this.call(name, method, params);
    } catch (error) {
      if (error instanceof AspenError) return error;
      throw error;
    }
    throw new Error(`${name} answered ${method} with ${JSON.stringify(answer)}`);
  }

  /** A member that is none of these. */
  other(...than: readonly SimNode[]): SimNode {
    const other = this.members.find((node) => node.isReady && !than.includes(node));
    if (other === undefined) throw new Error('nobody else is up');
    return other;
  }

  /** @returns the id of an accepted job. */
  async submit(spec: Spec, on = this.home): Promise<string> {
    const { id } = await this.call(on, 'job.submit', spec);
    this.observe({ type: 'accepted', job: id });
    return id;
  }

  /** Hands in all of them at once. @returns their ids, in order. */
  async submitAll(specs: readonly Spec[], on = this.home): Promise<string[]> {
    const asked = specs.map((spec) => this.node(on).call('job.submit', spec));
    const ids = (await this.settled(Promise.all(asked))).map(({ id }) => id);
    for (const job of ids) this.observe({ type: 'accepted', job });
    return ids;
  }

  async job(id: string, on = this.home): Promise<Job> {
    return this.call(on, 'job.get', { id });
  }

  /** The node that leads the group. */
  leader(): SimNode {
    const leading = this.nodes
      .filter(({ isReady }) => isReady)
      .flatMap((node) => {
        const term = node.daemon.node.group.leadership?.term;
        return term === undefined ? [] : [{ node, term }];
      })
      .sort((left, right) => right.term - left.term);
    const [first] = leading;
    if (first === undefined) throw new Error('nobody leads');
    return first.node;
  }

  /** A member that does not lead and is not where the story is told from. */
  someFollower(): SimNode {
    const follower = this.members.find((node) => node !== this.leader() && node.name !== this.home);
    if (follower === undefined) throw new Error('nobody follows');
    return follower;
  }

  /** Waits until the job runs. @returns on which node. */
  async workerOf(id: string, on = this.home): Promise<SimNode> {
    const endMs = this.nowMs + PLACED_LIMIT_MS;
    for (;;) {
      const { state, node } = await this.job(id, on);
      if (state === 'running' && node !== null) return this.node(this.nameOf(node));
      if (this.nowMs >= endMs) throw new Error(`${id} is ${state} and does not run`);
      await this.advance(100);
    }
  }

  /** What became of each attempt, oldest first. */
  async outcomesOf(id: string, on = this.home): Promise<unknown[]> {
    const { history } = await this.job(id, on);
    return history.map(({ attempt, outcome }) => ({ attempt, outcome }));
  }

  /** Until everybody agrees and nothing accepted is open. */
  async settle(): Promise<void> {
    const soon = (what: string, isTrue: () => boolean) =>
      this.until(isTrue, { limitMs: SETTLE_LIMIT_MS, what });
    await soon('all members are up', () => this.members.every(({ isReady }) => isReady));
    await soon('all agree on leader and voters', () => this.votersAgreed());
    await soon('all accepted jobs end', () => this.laws.openJobs().length === 0);
    await soon('registries converge', () => this.registriesAgree());
  }
}
