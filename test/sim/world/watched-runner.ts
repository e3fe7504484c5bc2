import type { MemoryRunner, ProcessRequest, Runner, RunningProcess } from '../../../src/supervisor/index.ts';
import type { SimProcess } from '../ground/index.ts';

/** What the law speaks of: a program of an attempt runs, and runs no more. */
export interface RunWitness {
  /** `rank`: of a member of a group. */
  runs(run: { readonly job: string; readonly token: number; readonly rank?: number }): void;
  stopped(run: { readonly job: string; readonly token: number }): void;
}

/** Tells when the programs of attempts really run on a machine; they end with it. */
export class WatchedRunner implements Runner {
  readonly #runner: MemoryRunner;
  readonly #process: SimProcess;
  readonly #witness: RunWitness;

  constructor(components: {
    readonly runner: MemoryRunner;
    readonly process: SimProcess;
    readonly witness: RunWitness;
  }) {
    this.#runner = components.runner;
    this.#process = components.process;
    this.#witness = components.witness;
  }

  start(request: ProcessRequest): RunningProcess {
    const { ASPEN_JOB_ID: job = '', ASPEN_FENCING_TOKEN: token, ASPEN_GROUP_RANK: rank } = request.env;
    const run = { job, token: Number(token), ...(rank !== undefined && { rank: Number(rank) }) };
    let isOver = false;
    const end = () => {
      if (isOver) return;
      isOver = true;
      this.#witness.stopped(run);
    };
    this.#witness.runs(run);
    this.#process.onCrash(end);
    const running = this.#runner.start(request);
    void running.exited.then(end); // never rejects
    return running;
  }
}
