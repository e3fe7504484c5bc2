/** Plays the cases that every SDK has in common: `node typescript.ts CASES DATA_DIR`. One line of JSON for each case. */
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { AspenError } from '../../src/base/index.ts';
import {
  AspenClient,
  type AttemptControl,
  defineWorker,
  type JobHandler,
  NonRetryableError,
  type Worker,
  type WorkerJob,
} from '../../src/sdk/index.ts';

type Fields = Readonly<Record<string, unknown>>;

interface Step {
  readonly call?: string;
  readonly params?: Fields;
  readonly submit?: Fields;
  readonly wait?: string;
  readonly cancel?: string;
  readonly logs?: string;
  readonly text?: string;
  readonly worker?: Readonly<Record<string, string>>;
  readonly result?: unknown;
  readonly error?: unknown;
  readonly until?: boolean;
  readonly save?: Readonly<Record<string, string>>;
}

const UNTIL_MS = 20_000;

const fail = (attempt: number): never => {
  throw new Error(`attempt ${attempt} fails`);
};

const BEHAVIOURS: Readonly<Record<string, JobHandler<unknown>>> = {
  echo: ({ payload }: WorkerJob) => payload,
  fail: (_: WorkerJob, { attempt }: AttemptControl) => fail(attempt),
  'fail-once': ({ payload }: WorkerJob, { attempt }: AttemptControl) =>
    attempt === 1 ? fail(attempt) : payload,
  'fail-for-good': () => {
    throw new NonRetryableError('never again');
  },
  report: async (_: WorkerJob, { attempt, fencingToken, progress, log }: AttemptControl) => {
    progress({ percent: 50, message: 'half' });
    await log('hello\n');
    return { attempt, hasToken: fencingToken > 0 };
  },
  slow: async () => {
    await pause(2_000);
    return null;
  },
  'until-stopped': (_: WorkerJob, { signal }: AttemptControl) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
};

class Play {
  readonly #client: AspenClient;
  readonly #dataDir: string;
  readonly #known = new Map([['run', Math.random().toString(16).slice(2, 10)]]);
  #worker: Worker | undefined;

  constructor(client: AspenClient, dataDir: string) {
    this.#client = client;
    this.#dataDir = dataDir;
  }

  async do(step: Step): Promise<void> {
    const untilMs = performance.now() + (step.until === true ? UNTIL_MS : 0);
    for (;;) {
      try {
        return await this.#check(this.#filled(step));
      } catch (error) {
        if (performance.now() >= untilMs) throw error;
        await pause(50);
      }
    }
  }

  async close(): Promise<void> {
    await this.#worker?.close();
    this.#worker = undefined;
  }

  #filled(step: Step): Step {
    const names = [...this.#known.keys()].sort((left, right) => right.length - left.length);
    const text = names.reduce(
      (filled, name) => filled.replaceAll(`$${name}`, this.#known.get(name) as string),
      JSON.stringify(step),
    );
    return JSON.parse(text) as Step;
  }

  async #check(step: Step): Promise<void> {
    let answer: unknown;
    try {
      answer = await this.#act(step);
    } catch (error) {
      if (!(error instanceof AspenError) || step.error === undefined) throw error;
      const told = { code: error.code, outcome: error.outcome };
      if (!has(told, step.error)) throw new Error(`the error is ${JSON.stringify(told)}`);
      return;
    }
    if (step.error !== undefined) throw new Error(`no error came, but ${JSON.stringify(answer)}`);
    if (!has(answer, step.result ?? {})) throw new Error(`the answer is ${JSON.stringify(answer)}`);
    for (const [name, field] of Object.entries(step.save ?? {}))
      this.#known.set(name, String((answer as Fields)[field]));
  }

  async #act(step: Step): Promise<unknown> {
    const client = this.#client;
    if (step.call !== undefined) return await client.call(step.call as never, (step.params ?? {}) as never);
    if (step.submit !== undefined) return await client.submit(step.submit as never);
    if (step.wait !== undefined) return await client.wait(step.wait);
    if (step.cancel !== undefined) return await client.cancel(step.cancel);
    if (step.logs !== undefined) return await this.#compareOutput(step.logs, step.text ?? '');
    if (step.worker !== undefined) return await this.#attach(step.worker);
    return await this.close();
  }

  async #compareOutput(id: string, text: string): Promise<void> {
    const pieces: Buffer[] = [];
    for await (const { data } of this.#client.logs(id)) pieces.push(data);
    const told = Buffer.concat(pieces).toString();
    if (told !== text) throw new Error(`the output is ${JSON.stringify(told)}`);
  }

  async #attach(behaviours: Readonly<Record<string, string>>): Promise<void> {
    const handlers = Object.fromEntries(
      Object.entries(behaviours).map(([type, name]) => [type, BEHAVIOURS[name] as JobHandler]),
    );
    this.#worker = defineWorker({ handlers, concurrency: 4 }, { dataDir: this.#dataDir });
    await this.#worker.start();
  }
}

function has(value: unknown, wanted: unknown): boolean {
  if (typeof wanted !== 'object' || wanted === null || Array.isArray(wanted))
    return isDeepStrictEqual(value, wanted);
  return Object.entries(wanted).every(([key, part]) => has((value as Fields | null)?.[key], part));
}

const [casesFile = '', dataDir = ''] = process.argv.slice(2);
const cases = JSON.parse(readFileSync(casesFile, 'utf8')) as readonly { name: string; steps: Step[] }[];
using client = await AspenClient.connect({ dataDir });
for (const { name, steps } of cases) {
  const play = new Play(client, dataDir);
  let told: object = { name, ok: true };
  for (const step of steps) {
    try {
      await play.do(step);
    } catch (error) {
      told = { name, ok: false, error: `${JSON.stringify(step)}: ${(error as Error).message}` };
      break;
    }
  }
  await play.close();
  process.stdout.write(`${JSON.stringify(told)}\n`);
}
