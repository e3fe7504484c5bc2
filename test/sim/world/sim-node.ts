import { createHandlers, Daemon, resolveConfig } from '../../../src/agent/index.ts';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import {
  type Connection,
  checkParams,
  type Handlers,
  type ParamsInput,
  type Result,
} from '../../../src/rpc/index.ts';
import { StorageFault } from '../../../src/storage/index.ts';
import type { SimProcess } from '../ground/index.ts';
import { AgentEnd, type ClientEnd, type SimConnection } from './sim-connection.ts';
import type { Boot, SimMachine } from './sim-machine.ts';

export type Method = keyof Handlers;

/** Hears what becomes of a node. */
export interface NodeWitness {
  /** The agent answers from now on. */
  started(node: SimNode, daemon: Daemon): void;
  /** The agent ended itself: a disk it cannot trust, or an invariant that does not hold. */
  failed(node: SimNode, error: unknown): void;
}

export interface SimNodeOptions {
  readonly voters: 1 | 3 | 5 | 7;
  /** Attempts that may run at once. */
  readonly slots: number;
}

interface Life extends Boot {
  readonly daemon: Daemon;
  readonly handlers: Handlers;
  /** Rejects when the process dies. */
  readonly death: Promise<never>;
  isReady: boolean;
}

const START_AGAIN_MS = 1_000;

/** One agent of the simulated world: a machine, and on it at most one life of the daemon, built as the real one is. */
export class SimNode {
  readonly name: string;
  readonly machine: SimMachine;
  readonly #witness: NodeWitness;
  /** What it joins by; undefined founds a mesh. */
  #ticket: string | undefined;
  #life: Life | undefined;
  #peerId: PeerId | undefined;
  #isMember = false;
  #refusal: AspenError | undefined;
  #wasStarted = false;
  #isRetired = false;
  readonly #options: SimNodeOptions;

  constructor(
    components: { readonly machine: SimMachine; readonly witness: NodeWitness },
    options: SimNodeOptions,
  ) {
    this.name = components.machine.name;
    this.machine = components.machine;
    this.#witness = components.witness;
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#life !== undefined;
  }

  /** The agent has started and answers. */
  get isReady(): boolean {
    return this.#life?.isReady ?? false;
  }

  /** Known once it has started. */
  get peerId(): PeerId {
    if (this.#peerId === undefined) throw new Error(`${this.name} has no peer id yet`);
    return this.#peerId;
  }

  /** Why the mesh did not take it in. */
  get refusal(): AspenError | undefined {
    return this.#refusal;
  }

  /** It is part of the story: it was started at least once, and has not left the mesh. */
  get isInService(): boolean {
    return this.#wasStarted && !this.#isRetired;
  }

  /** It was up as somebody. */
  get wasUp(): boolean {
    return this.#peerId !== undefined;
  }

  get wasStarted(): boolean {
    return this.#wasStarted;
  }

  /** It is ended for good. */
  retire(): void {
    this.#isRetired = true;
    this.crash();
  }

  get daemon(): Daemon {
    return this.#alive().daemon;
  }

  get life(): { readonly process: SimProcess; readonly clock: Boot['clock'] } | undefined {
    return this.#life;
  }

  /** Begins a life; the agent answers some time later. @param ticket of the mesh to join, at the first start. */
  start(ticket?: string): void {
    if (ticket !== undefined) {
      this.#ticket = ticket;
      this.#refusal = undefined;
    }
    this.#wasStarted = true;
    if (this.#life !== undefined || this.#isRetired) return;
    void this.#boot();
  }

  /** A promise that nobody awaited rejected because of this machine's disk. */
  hasFailed(error: unknown): void {
    const life = this.#life;
    if (life !== undefined) this.#fatal(life.process, error);
  }

  /** Power is lost: unsynced writes may be gone, nobody is told. */
  crash(): void {
    const life = this.#life;
    this.#life = undefined;
    life?.process.crash();
  }

  jumpWall(byMs: number): void {
    this.machine.jumpWall(byMs, this.#life?.clock);
  }

  /** Asks the agent to end, as SIGTERM does; resolves when it has. */
  async stop(): Promise<void> {
    const life = this.#alive();
    life.isReady = false;
    await life.daemon.stop();
    this.crash();
  }

  /**
   * Calls a method as a local client would: params are checked as on the socket. Where the agent dies meanwhile, nobody knows what
   * became of it.
   */
  call<M extends Method>(method: M, params: ParamsInput<M>): Promise<Result<M>> {
    return this.#callOver(undefined, method, params);
  }

  /** A connection that stays, to the present life of the agent. @throws AspenError UNAVAILABLE when it is down. */
  connect(client: ClientEnd): SimConnection {
    const { process } = this.#alive();
    const end = new AgentEnd(process, client);
    return {
      get isOpen() {
        return !end.signal.aborted;
      },
      call: (method, params) => this.#callOver(end, method, params),
      close: () => end.clientLeft(),
    };
  }

  /** @param end undefined for a connection of its own. */
  async #callOver<M extends Method>(
    end: Connection | undefined,
    method: M,
    params: ParamsInput<M>,
  ): Promise<Result<M>> {
    const life = this.#alive();
    if (end?.signal.aborted)
      throw new AspenError('UNAVAILABLE', `${this.name} has closed the connection`, {
        outcome: 'not-applied',
      });
    const checked = checkParams(method, params);
    if (life.process.isPaused)
      await Promise.race([life.death, new Promise<void>((go) => life.process.enter(go))]);
    const handler = life.handlers[method] as (params: unknown, connection: Connection) => Promise<Result<M>>;
    try {
      return await Promise.race([handler(checked, end ?? new AgentEnd(life.process)), life.death]);
    } catch (error) {
      throw this.#isDisksDoing(error) ? endedByDisk(this.name, error) : error;
    }
  }

  #alive(): Life {
    if (this.#life?.isReady !== true)
      throw new AspenError('UNAVAILABLE', `${this.name} is down`, { outcome: 'not-applied' });
    return this.#life;
  }

  async #boot(): Promise<void> {
    const life = this.#newLife(await this.machine.boot());
    this.#life = life;
    try {
      await life.daemon.start();
    } catch (error) {
      if (this.#life === life) this.#startFailed(error);
      return;
    }
    if (this.#life !== life) return;
    life.isReady = true;
    this.#isMember = true;
    this.#peerId = life.daemon.node.self;
    this.#witness.started(this, life.daemon);
  }

  #newLife(boot: Boot): Life {
    const death = Promise.withResolvers<never>();
    death.promise.catch(() => undefined); // whoever waits for it is told; nobody may be waiting
    boot.process.onCrash(() =>
      death.reject(new AspenError('UNAVAILABLE', `${this.name} died`, { outcome: 'unknown' })),
    );
    boot.process.onUncaught((error) => this.#fatal(boot.process, error));
    const ticket = this.#isMember ? undefined : this.#ticket;
    const daemon = new Daemon(
      { platform: boot.platform, onFatal: (error) => this.#fatal(boot.process, error) },
      { config: configOf(this.name, this.#options), ...(ticket !== undefined && { ticket }) },
    );
    const handlers = createHandlers(daemon, {
      pid: 1,
      onStop: () => boot.process.after(0, () => this.retire(), 'ends'),
    });
    return { ...boot, daemon, handlers, death: death.promise, isReady: false };
  }

  /** A mesh that cannot be reached at the first start is no fault of the agent: it is started again. */
  #startFailed(error: unknown): void {
    const life = this.#life;
    this.crash();
    const isWorthIt = this.#isDisksDoing(error) || (error instanceof AspenError && error.retry !== 'never');
    if (life === undefined) return;
    if (error instanceof AspenError && error.code === 'DENIED' && !this.#isMember) this.#refusal = error;
    else if (!isWorthIt) this.#witness.failed(this, error);
    else this.machine.after(START_AGAIN_MS, () => this.start());
  }

  #fatal(process: SimProcess, error: unknown): void {
    if (!process.isAlive) return;
    this.crash();
    if (this.#isDisksDoing(error)) this.machine.after(START_AGAIN_MS, () => this.start());
    else this.#witness.failed(this, error);
  }

  /** An agent ends itself for such a disk, and whoever looks after it starts it again. */
  #isDisksDoing(error: unknown): boolean {
    return error instanceof StorageFault && (this.machine.disk.wasHarmed || error.kind === 'full');
  }
}

/** A caller sees the connection of such an agent break. */
function endedByDisk(name: string, cause: unknown): AspenError {
  return new AspenError('UNAVAILABLE', `${name} ended itself: ${String(cause)}`, {
    outcome: 'unknown',
    cause,
  });
}

function configOf(name: string, options: SimNodeOptions) {
  const flag = { name, listen: ['/memory'], isMdnsEnabled: false, ...options };
  return resolveConfig({ flag, environment: {}, file: {} }, { cpuCount: 1, hostName: name });
}
