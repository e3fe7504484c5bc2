import { type Random, randomChance, randomFloat, randomInt, randomPick } from '../../../src/base/index.ts';
import type { ExecuteRequest } from '../../../src/jobs/index.ts';
import type { RpcAnswer } from '../../../src/rpc/index.ts';
import { WORKER_TYPE } from './job-draws.ts';
import type { ClientEnd } from './sim-connection.ts';
import type { World } from './world.ts';

const LONGEST_STAY_MS = 12_000;
const LONGEST_PAUSE_MS = 2_000;
const MOST_SLOTS = 4;
/** How often a worker looks whether it is still attached. Unit: ms. */
const LOOK_MS = 250;

/**
 * Programs that attach as workers to whichever node chance names, run what they are asked to, and go: in order, or by closing their
 * connection in the middle of it. Once nothing goes wrong any more they stay, and attach again where their agent ended.
 */
export class AttachedClients {
  readonly #world: World;
  readonly #random: Random;

  constructor(components: { readonly world: World; readonly random: Random }) {
    this.#world = components.world;
    this.#random = components.random;
  }

  /** Does not return: jobs wait for workers for as long as the world lasts. */
  async run(untilMs: number): Promise<never> {
    for (;;) {
      await this.#stay(untilMs);
      await this.#world.pause(this.#draw(LONGEST_PAUSE_MS));
    }
  }

  async #stay(untilMs: number): Promise<void> {
    const world = this.#world;
    const node = randomPick(
      this.#random,
      world.members.filter(({ isReady }) => isReady),
    );
    if (node === undefined) return;
    const isLast = world.nowMs >= untilMs;
    const endMs = isLast ? Number.POSITIVE_INFINITY : world.nowMs + this.#draw(LONGEST_STAY_MS);
    const concurrency = randomInt(this.#random, { from: 1, to: MOST_SLOTS + 1 });
    const worker = new SimWorker(world, node.name, concurrency);
    const connection = node.connect(worker);
    try {
      const { workerId } = await connection.call('worker.attach', { types: [WORKER_TYPE], concurrency });
      while (connection.isOpen && world.nowMs < endMs && world.members.includes(node))
        await world.pause(LOOK_MS);
      if (connection.isOpen && randomChance(this.#random, 0.5)) {
        await connection.call('worker.detach', { workerId });
        await world.pause(this.#draw(LONGEST_PAUSE_MS));
      }
    } catch (error) {
      world.expectRefusal(error);
    }
    connection.close();
    worker.closed();
  }

  #draw(longestMs: number): number {
    return randomFloat(this.#random) * longestMs;
  }
}

interface Execution {
  readonly request: ExecuteRequest;
  readonly answer: (answer: RpcAnswer) => void;
}

/** The program behind one connection: heeds every order at once, and tells the law what it runs. */
class SimWorker implements ClientEnd {
  readonly #world: World;
  readonly #node: string;
  readonly #concurrency: number;
  readonly #running = new Set<Execution>();
  readonly #settled = new Set<string>();

  constructor(world: World, node: string, concurrency: number) {
    this.#world = world;
    this.#node = node;
    this.#concurrency = concurrency;
  }

  asked(method: string, params: unknown, answer: (answer: RpcAnswer) => void): void {
    if (method !== 'worker.execute') throw new Error(`an agent asks a worker to ${method}`);
    void this.#execute({ request: params as ExecuteRequest, answer });
  }

  notified(method: string, params: unknown): void {
    const { jobId, attempt } = params as { readonly jobId: string; readonly attempt: number };
    const name = `${jobId}/${attempt}`;
    if (method === 'worker.cancel')
      for (const execution of this.#running)
        if (nameOf(execution) === name)
          this.#end(execution, { type: 'error', error: { code: -32000, message: 'stopped' } });
    if (method !== 'worker.settled') return;
    if (this.#settled.has(name)) this.#world.breach(`a worker was told twice what became of ${name}`);
    this.#settled.add(name);
  }

  closed(): void {
    for (const execution of this.#running) this.#end(execution, undefined);
  }

  async #execute(execution: Execution): Promise<void> {
    const { spec } = execution.request.job;
    if (spec.type !== WORKER_TYPE) this.#world.breach(`a worker is asked to run ${spec.type}`);
    this.#running.add(execution);
    if (this.#running.size > this.#concurrency)
      this.#world.breach(`a worker of ${this.#concurrency} slots runs ${this.#running.size} attempts`);
    this.#world.observe({ type: 'runs', ...this.#namesOf(execution) });
    const { delayMs, isGood } = spec.payload as { readonly delayMs: number; readonly isGood: boolean };
    await this.#world.pause(delayMs);
    const failed = { code: -32000, message: 'it was to fail', data: { code: 'PAINT' } };
    this.#end(execution, isGood ? { type: 'result', result: delayMs } : { type: 'error', error: failed });
  }

  #end(execution: Execution, answer: RpcAnswer | undefined): void {
    if (!this.#running.delete(execution)) return;
    this.#world.observe({ type: 'stopped', ...this.#namesOf(execution) });
    if (answer !== undefined) execution.answer(answer);
  }

  #namesOf({ request: { job, fencingToken } }: Execution) {
    return { job: job.id, token: fencingToken, node: this.#node };
  }
}

function nameOf({ request: { job, attempt } }: Execution): string {
  return `${job.id}/${attempt}`;
}
