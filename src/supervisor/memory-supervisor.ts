import { type Clock, mayGoUnheard } from '../base/index.ts';
import { MemorySpool } from './memory-spool.ts';
import type { Runner } from './runner.ts';
import {
  type AdoptedAttempt,
  type Inherited,
  type InterruptedAttempt,
  type SupervisedEnd,
  type SupervisedProcess,
  type SupervisedRequest,
  type Supervisor,
  SupervisorGone,
} from './supervised.ts';
import type { SupervisedAttempt } from './supervised-attempt.ts';
import { Supervision } from './supervision.ts';

export interface MemorySupervisorComponents {
  /** Starts what is supervised. */
  readonly runner: Runner;
  /** Of the supervisor, which lives longer than an agent. */
  readonly clock: Clock;
}

/**
 * A supervisor in memory, which outlives its agents: each of them is given a door of its own by `open`. Its end is a call (`die`), and so is
 * the fact that the machine ended with it.
 */
export class MemorySupervisor {
  readonly #clock: Clock;
  readonly #runner: Runner;
  readonly spool = new MemorySpool();
  #supervision: Supervision;
  #doors = new Map<string, Door>();
  #markCount = 0;
  #interrupted: InterruptedAttempt[];

  /** @param interrupted what the next agent is told of earlier supervisors. */
  constructor(
    { runner, clock }: MemorySupervisorComponents,
    interrupted: readonly InterruptedAttempt[] = [],
  ) {
    this.#interrupted = [...interrupted];
    this.#clock = clock;
    this.#runner = runner;
    this.#supervision = this.#newSupervision();
  }

  /**
   * @param clock of the agent's life. @param enter runs what the agent is told: in its own process, or never when that is dead.
   */
  open(clock: Clock, enter: (run: () => void) => void = (run) => run()): Supervisor {
    this.#doors = new Map();
    const supervision = this.#supervision;
    const doors = this.#doors;
    const toBoot = (untilMs: number) => this.#clock.monotonicMs() + (untilMs - clock.monotonicMs());
    const toOwn = (bootMs: number) => clock.monotonicMs() + (bootMs - this.#clock.monotonicMs());
    const doorOf = (name: string, key: string): Door => {
      const door = new Door({ supervision, spool: this.spool, toBoot, enter }, { name, key });
      doors.set(name, door);
      return door;
    };
    const start = ({ holdUntilMs, ...request }: SupervisedRequest): SupervisedProcess => {
      const door = doorOf(request.name, request.outputKey);
      supervision.begin({ ...request, holdUntilBootMs: toBoot(holdUntilMs) });
      return door;
    };
    const inherit = async (): Promise<Inherited> => {
      const interrupted = this.#interrupted;
      this.#interrupted = [];
      const strange = supervision.all().filter(({ order }) => !doors.has(order.name));
      const adopted = strange.map((attempt): AdoptedAttempt => {
        const { name, note, outputKey, timeoutMs } = attempt.order;
        const door = doorOf(name, outputKey);
        door.outputBytes = attempt.outputBytes;
        if (attempt.end !== null) door.settle(attempt.end);
        const ranMs = this.#clock.monotonicMs() - attempt.startedBootMs;
        return {
          name,
          note,
          holdUntilMs: toOwn(attempt.holdUntilBootMs),
          timeoutLeftMs: timeoutMs === null ? null : Math.max(0, timeoutMs - ranMs),
          process: door,
        };
      });
      return { adopted, interrupted };
    };
    const close = async ({ leaveRunning }: { readonly leaveRunning: boolean }) => {
      if (!leaveRunning) await supervision.stopAll(0);
    };
    return { start, inherit, close };
  }

  /** Of what it holds. */
  get names(): readonly string[] {
    return this.#supervision.all().map(({ order }) => order.name);
  }

  /** It is killed, and what it held with it; the next agent is told. */
  die(reason: string): void {
    for (const { order } of this.#supervision.all()) this.#interrupted.push({ name: order.name, reason });
    for (const door of this.#doors.values()) door.lose();
    void this.#supervision.stopAll(0);
    this.#supervision = this.#newSupervision();
  }

  #newSupervision(): Supervision {
    const clock = this.#clock;
    const supervision = new Supervision({
      runner: this.#runner,
      spool: this.spool,
      census: { take: () => null, signal: () => true },
      clock: {
        monotonicMs: () => clock.monotonicMs(),
        wallMs: () => clock.wallMs(),
        bootMs: () => clock.monotonicMs(),
        setTimer: (afterMs, callback) => clock.setTimer(afterMs, callback),
      },
      journal: { begun: () => undefined, ended: () => undefined },
      drawMark: () => `memory-${++this.#markCount}`,
    });
    const doorOf = ({ order }: SupervisedAttempt) => this.#doors.get(order.name);
    supervision.listen({
      started: () => undefined,
      output: (attempt) => doorOf(attempt)?.grow(attempt.outputBytes),
      ended: (attempt) => {
        if (attempt.end !== null) doorOf(attempt)?.settle(attempt.end);
      },
    });
    return supervision;
  }
}

interface DoorComponents {
  readonly supervision: Supervision;
  readonly spool: MemorySpool;
  readonly toBoot: (untilMs: number) => number;
  readonly enter: (run: () => void) => void;
}

/** What one life of an agent sees of one attempt. */
class Door implements SupervisedProcess {
  readonly ended: Promise<SupervisedEnd>;
  outputBytes = 0;
  readonly #components: DoorComponents;
  readonly #name: string;
  readonly #key: string;
  readonly #settled = Promise.withResolvers<SupervisedEnd>();
  readonly #callbacks = new Set<() => void>();

  constructor(components: DoorComponents, { name, key }: { readonly name: string; readonly key: string }) {
    this.#components = components;
    this.#name = name;
    this.#key = key;
    this.ended = mayGoUnheard(this.#settled.promise);
  }

  onOutput(callback: () => void): Disposable {
    this.#callbacks.add(callback);
    return { [Symbol.dispose]: () => this.#callbacks.delete(callback) };
  }

  async readOutput(fromOffset: number, bytesLimit: number) {
    const page = await this.#components.spool.read(this.#key, fromOffset, bytesLimit);
    return page ?? { chunks: [], nextOffset: fromOffset };
  }

  stop(graceMs: number): void {
    this.#components.supervision.stop(this.#name, graceMs);
  }

  renew(holdUntilMs: number): void {
    this.#components.supervision.renew(this.#name, this.#components.toBoot(holdUntilMs));
  }

  forget(): void {
    this.#components.supervision.forget(this.#name);
  }

  grow(bytes: number): void {
    this.#components.enter(() => {
      this.outputBytes = bytes;
      for (const callback of [...this.#callbacks]) callback();
    });
  }

  settle(end: SupervisedEnd): void {
    this.#components.enter(() => {
      this.#settled.resolve(end);
      for (const callback of [...this.#callbacks]) callback();
    });
  }

  lose(): void {
    this.#components.enter(() => this.#settled.reject(new SupervisorGone('its supervisor was killed')));
  }
}
