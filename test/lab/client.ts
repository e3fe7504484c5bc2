import { setTimeout as pause } from 'node:timers/promises';
import { type Agent, RpcClient, RpcError } from '../e2e/harness/index.ts';

/** `none`: it did not happen and never will. `unknown`: it may have, or may yet. */
export type Answer<R> =
  | { readonly type: 'ok'; readonly value: R }
  | { readonly type: 'none' | 'unknown'; readonly error: Error };

/** Codes that faults explain; any other is an error of its own. */
const EXPLAINED: readonly string[] = [
  'NO_QUORUM',
  'UNAVAILABLE',
  'DEADLINE_EXCEEDED',
  'RESOURCE_EXHAUSTED',
  'NOT_LEADER',
];
const PAUSE_AFTER_REFUSAL_MS = 50;

/** One client of one agent, calling one method after the other over a connection that it opens again when it broke. */
export class LabClient implements Disposable {
  readonly agent: Agent;
  /** Answers that no fault explains. */
  readonly surprises: string[] = [];
  readonly #explained: readonly string[];
  #connection: RpcClient | undefined;

  /** @param refusals codes with which the methods it calls refuse, whatever happens to agents. */
  constructor(agent: Agent, refusals: readonly string[] = []) {
    this.agent = agent;
    this.#explained = [...EXPLAINED, ...refusals];
  }

  async call<R>(method: string, params: object, timeoutMs: number): Promise<Answer<R>> {
    let connection: RpcClient;
    try {
      connection = await this.#connected();
    } catch (error) {
      await pause(PAUSE_AFTER_REFUSAL_MS);
      return { type: 'none', error: error as Error }; // it was never sent
    }
    try {
      return { type: 'ok', value: await connection.call<R>(method, params, timeoutMs) };
    } catch (error) {
      await pause(PAUSE_AFTER_REFUSAL_MS);
      return this.#failed(error as Error);
    }
  }

  [Symbol.dispose](): void {
    this.#connection?.[Symbol.dispose]();
  }

  #failed(error: Error): Answer<never> {
    if (!(error instanceof RpcError)) return { type: 'unknown', error };
    if (!this.#explained.includes(error.data.code ?? ''))
      this.surprises.push(`${this.agent.name}: ${error.message}`);
    return { type: error.data.outcome === 'not-applied' ? 'none' : 'unknown', error };
  }

  async #connected(): Promise<RpcClient> {
    if (this.#connection?.isClosed === true) this.#connection = undefined;
    this.#connection ??= await RpcClient.connect(this.agent.socketPath);
    return this.#connection;
  }
}
