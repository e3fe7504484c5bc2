import { AspenError } from '../../../src/base/index.ts';
import type { Connection, Handlers, ParamsInput, Result, RpcAnswer } from '../../../src/rpc/index.ts';
import type { SimProcess } from '../ground/index.ts';

/** What a client does with what its agent sends by itself. */
export interface ClientEnd {
  /** A notification. */
  notified?(method: string, params: unknown): void;
  /** A request of the agent; `answer` is to be called once, or never. */
  asked?(method: string, params: unknown, answer: (answer: RpcAnswer) => void): void;
  /** The connection has ended, whoever ended it. */
  closed?(): void;
}

/** The end of a connection that a client holds. */
export interface SimConnection {
  readonly isOpen: boolean;
  call<M extends keyof Handlers>(method: M, params: ParamsInput<M>): Promise<Result<M>>;
  close(): void;
}

/**
 * The end of a local connection that handlers see. It ends with the process, and what a client says to a process that stands still is heard
 * when that goes on.
 */
export class AgentEnd implements Connection {
  readonly id = 1;
  readonly #process: SimProcess;
  readonly #client: ClientEnd;
  readonly #abort = new AbortController();

  constructor(process: SimProcess, client: ClientEnd = {}) {
    this.#process = process;
    this.#client = client;
    process.onCrash(() => this.#end('the agent died'));
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  notify(method: string, params: unknown): boolean {
    if (!this.signal.aborted) this.#client.notified?.(method, params);
    return true;
  }

  async drained(): Promise<void> {
    // A simulated client reads at once.
  }

  async request(): Promise<never> {
    throw new AspenError('UNAVAILABLE', 'agents ask their clients by `ask`');
  }

  ask(method: string, params: unknown, onAnswer: (answer: RpcAnswer) => void): boolean {
    const asked = this.signal.aborted ? undefined : this.#client.asked;
    if (asked === undefined) onAnswer({ type: 'closed' });
    else
      asked.call(this.#client, method, params, (answer) =>
        this.#process.enter(() => {
          if (!this.signal.aborted) onAnswer(answer);
        }),
      );
    return true;
  }

  close(): void {
    this.#end('the agent closed the connection');
  }

  /** The client is gone; the agent hears of it when it runs. */
  clientLeft(): void {
    this.#process.enter(() => this.#end('the client closed the connection'));
  }

  #end(why: string): void {
    if (this.signal.aborted) return;
    this.#abort.abort(new Error(why));
    this.#client.closed?.();
  }
}
