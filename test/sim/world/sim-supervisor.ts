import { type Clock, randomChance, type SeededRandom } from '../../../src/base/index.ts';
import {
  type InterruptedAttempt,
  MemoryRunner,
  MemorySupervisor,
  type Supervisor,
} from '../../../src/supervisor/index.ts';
import { ProcessGone, type Scheduler, SimClock, type SimClockOptions, SimProcess } from '../ground/index.ts';
import { type RunWitness, WatchedRunner } from './watched-runner.ts';

export interface SimSupervisorComponents {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly witness: RunWitness;
}

export interface SimSupervisorOptions {
  readonly name: string;
  readonly clock: SimClockOptions;
  /** A planted fault: agents do not ask what it holds. */
  readonly forgetsHeld: boolean;
}

interface Life {
  readonly process: SimProcess;
  readonly supervisor: MemorySupervisor;
}

/** How often an agent that dies leaves its supervisor behind; otherwise the machine dies with it. */
const OUTLIVES = 0.5;

/**
 * The supervisor of a machine: a process of its own, which goes on when the agent dies, stands still or sleeps, or ends with it. Its clock counts
 * sleep.
 */
export class SimSupervisor {
  readonly #components: SimSupervisorComponents;
  readonly #options: SimSupervisorOptions;
  #life: Life;

  constructor(components: SimSupervisorComponents, options: SimSupervisorOptions) {
    this.#components = components;
    this.#options = options;
    this.#life = this.#begin([]);
  }

  /** The door of one life of the agent; a coin decides at its death whether the machine dies with it. */
  open(clock: Clock, agent: SimProcess): Supervisor {
    agent.onCrash(() => {
      if (randomChance(this.#components.random, OUTLIVES)) return;
      this.#die('the machine was started again');
    });
    const opened = this.#life.supervisor.open(clock, (run) => agent.enter(run));
    const door: Supervisor = {
      ...opened,
      start: (request) => {
        if (!agent.isAlive) throw new ProcessGone(agent.name); // it died in the middle of the turn that goes on here
        return opened.start(request);
      },
    };
    if (!this.#options.forgetsHeld) return door;
    return { ...door, inherit: async () => ({ adopted: [], interrupted: [] }) };
  }

  #die(reason: string): void {
    const { process, supervisor } = this.#life;
    const interrupted = supervisor.names.map((name) => ({ name, reason }));
    process.crash();
    this.#life = this.#begin(interrupted);
  }

  #begin(interrupted: readonly InterruptedAttempt[]): Life {
    const { scheduler, witness } = this.#components;
    const process = new SimProcess({ name: `${this.#options.name} supervisor`, scheduler });
    const clock = new SimClock(process, this.#options.clock);
    const runner = new WatchedRunner({ runner: new MemoryRunner({ clock }), process, witness });
    return { process, supervisor: new MemorySupervisor({ runner, clock }, interrupted) };
  }
}
