import { mayGoUnheard } from '../base/index.ts';
import type { SpoolPage } from './spool.ts';
import {
  type SupervisedEnd,
  type SupervisedProcess,
  type SupervisedRequest,
  SupervisorGone,
} from './supervised.ts';

/** An attempt whose supervisor is still starting: what is asked of it meanwhile is remembered. */
export class WaitingProcess implements SupervisedProcess {
  readonly ended: Promise<SupervisedEnd>;
  readonly #settled = Promise.withResolvers<SupervisedEnd>();
  readonly #callbacks = new Set<() => void>();
  #request: SupervisedRequest;
  #process: SupervisedProcess | undefined;
  #isStopped = false;

  constructor(request: SupervisedRequest) {
    this.#request = request;
    this.ended = mayGoUnheard(this.#settled.promise);
  }

  get outputBytes(): number {
    return this.#process?.outputBytes ?? 0;
  }

  onOutput(callback: () => void): Disposable {
    this.#callbacks.add(callback);
    return { [Symbol.dispose]: () => this.#callbacks.delete(callback) };
  }

  async readOutput(fromOffset: number, bytesLimit: number, into?: Uint8Array): Promise<SpoolPage> {
    return (
      (await this.#process?.readOutput(fromOffset, bytesLimit, into)) ?? {
        chunks: [],
        nextOffset: fromOffset,
      }
    );
  }

  /** What was not begun ends at once. */
  stop(graceMs: number): void {
    if (this.#process !== undefined) this.#process.stop(graceMs);
    else if (!this.#isStopped) {
      this.#isStopped = true;
      this.#settled.resolve(NEVER_BEGUN);
      this.#tell();
    }
  }

  renew(holdUntilMs: number): void {
    if (this.#process === undefined) this.#request = { ...this.#request, holdUntilMs };
    else this.#process.renew(holdUntilMs);
  }

  forget(): void {
    this.#process?.forget();
  }

  /** The supervisor is there. */
  begin(start: (request: SupervisedRequest) => SupervisedProcess): void {
    if (this.#isStopped) return;
    const process = start(this.#request);
    this.#process = process;
    process.onOutput(() => this.#tell());
    process.ended.then(this.#settled.resolve, this.#settled.reject);
  }

  /** There will be none. */
  fail(cause: unknown): void {
    const why = cause instanceof Error ? cause.message : String(cause);
    this.#settled.reject(new SupervisorGone(`its supervisor could not be started: ${why}`));
    this.#tell();
  }

  #tell(): void {
    for (const callback of [...this.#callbacks]) callback();
  }
}

const NEVER_BEGUN: SupervisedEnd = {
  exit: { exitCode: null, signal: 'SIGKILL' },
  endedBy: 'stop',
  output: { stdout: '', stderr: '', stdoutBytes: 0, stderrBytes: 0, truncated: false },
  durationMs: 0,
  survivors: [],
};
