import assert from 'node:assert/strict';
import type { Daemon } from '../../../src/agent/daemon.ts';
import { workerHandlers } from '../../../src/agent/handlers/worker.ts';
import { SeededRandom, silentLogger } from '../../../src/base/index.ts';
import type { Assignment } from '../../../src/jobs/wire.ts';
import {
  createMemoryDuplexPair,
  createRpcServer,
  type Handlers,
  type LineDuplex,
} from '../../../src/rpc/index.ts';
import { WorkerWorld } from '../../unit/jobs/worker-world.ts';
import { ManualClock } from '../../unit/lease/manual-clock.ts';

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: {
    readonly code: number;
    readonly data: { readonly code: string; readonly issues?: readonly { readonly path: string }[] };
  };
}

/** A program behind the socket, which speaks JSON by hand and may say what it likes. */
export class RawWorker {
  readonly duplex: LineDuplex;
  readonly received: Message[] = [];
  hasEnded = false;
  workerId = '';
  readonly #settle: () => Promise<void>;
  #nextId = 1_000;
  #text = '';

  constructor(duplex: LineDuplex, settle: () => Promise<void>) {
    this.duplex = duplex;
    this.#settle = settle;
    duplex.onData((chunk) => {
      this.#text += chunk.toString();
      const lines = this.#text.split('\n');
      this.#text = lines.pop() as string;
      this.received.push(...lines.map((line) => JSON.parse(line) as Message));
    });
    duplex.onEnd(() => {
      this.hasEnded = true;
    });
  }

  say(message: object): void {
    this.duplex.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`);
  }

  /** @returns the response to a request of the worker's own. */
  async ask(method: string, params: object): Promise<Message> {
    this.#nextId += 1;
    const id = this.#nextId;
    this.say({ id, method, params });
    await this.#settle();
    const answer = this.received.find((message) => message.id === id && message.method === undefined);
    assert.ok(answer !== undefined, `${method} was answered`);
    return answer;
  }

  async attach(params: object = {}): Promise<this> {
    const { result, error } = await this.ask('worker.attach', {
      types: ['paint'],
      concurrency: 2,
      ...params,
    });
    assert.equal(error, undefined);
    this.workerId = String(result?.['workerId']);
    return this;
  }

  /** Requests to execute, in order. */
  get asked(): (Message & { readonly id: number })[] {
    return this.received.filter(({ method }) => method === 'worker.execute') as (Message & { id: number })[];
  }

  told(method: 'worker.cancel' | 'worker.settled'): Record<string, unknown>[] {
    return this.received
      .filter((message) => message.method === method)
      .map(({ params = {} }) => {
        const { workerId, ...rest } = params;
        assert.equal(workerId, this.workerId);
        return rest;
      });
  }

  async answer(at: number, response: object): Promise<void> {
    this.say({ id: this.asked[at]?.id, ...response });
    await this.#settle();
  }
}

/** The socket of an agent whose leader, group and session the test plays; workers attach to it as they do in earnest. */
export class AttachedWorld {
  readonly clock = new ManualClock();
  readonly world: WorkerWorld;
  role = 'worker';
  #accept: (duplex: LineDuplex) => void = () => undefined;

  constructor(options: { slots?: number; drainMs?: number } = {}) {
    this.world = new WorkerWorld(this.clock, options);
    const world = this;
    const node = {
      worker: this.world.host,
      get role() {
        return world.role;
      },
    };
    const platform = { clock: this.clock, random: new SeededRandom(7), logger: silentLogger };
    const daemon = { node, platform, clock: this.clock } as unknown as Daemon;
    const listener = {
      address: 'memory',
      listen: async (accept: (duplex: LineDuplex) => void) => {
        this.#accept = accept;
      },
      close: async () => undefined,
    };
    const handlers = workerHandlers(daemon) as unknown as Handlers;
    const server = createRpcServer(
      { listener, handlers, logger: silentLogger },
      { version: '0', checksResults: true },
    );
    void server.start();
  }

  static async started(options: { slots?: number; drainMs?: number } = {}): Promise<AttachedWorld> {
    const world = new AttachedWorld(options);
    await world.world.host.start();
    await world.settle();
    return world;
  }

  /** @returns the end of a client. */
  dial(): LineDuplex {
    const [theirs, ours] = createMemoryDuplexPair();
    this.#accept(ours);
    return theirs;
  }

  connect(): RawWorker {
    return new RawWorker(this.dial(), () => this.settle());
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn += 1) await this.clock.advance(0);
  }

  /** The leader gives attempts to a worker. */
  async give(worker: RawWorker, ...assignments: Partial<Assignment>[]): Promise<void> {
    const base = { pool: worker.workerId, type: 'paint', payload: { color: 'red' } };
    this.world.assign(...assignments.map((assignment) => ({ ...base, ...assignment })));
    await this.settle();
  }

  /** What the group was told, shortly. */
  outcomes(): string[] {
    return this.world.told.map(({ kind, body }) => `${kind} ${body.jobId}`);
  }
}
