import type { Agent } from './agent.ts';
import { RpcClient, RpcError } from './rpc-client.ts';
import type { KvEntry } from './shapes.ts';
import { until } from './until.ts';

const READS_AT_ONCE = 64;

/** A client that writes `prefix1 = 1`, `prefix2 = 2`, ... through one agent, one after the other, and remembers what was acknowledged. */
export class Writer {
  readonly acknowledged: number[] = [];
  /** Refused with the promise that nothing changed. */
  readonly refused: number[] = [];
  readonly #agent: Agent;
  readonly #prefix: string;
  readonly #stopping = new AbortController();
  readonly #ended: Promise<void>;

  constructor(agent: Agent, prefix: string) {
    this.#agent = agent;
    this.#prefix = prefix;
    this.#ended = this.#write();
  }

  keyOf(number: number): string {
    return `${this.#prefix}${String(number).padStart(6, '0')}`;
  }

  /** Waits until `count` more writes than now are acknowledged. */
  async more(count: number): Promise<void> {
    const goal = this.acknowledged.length + count;
    await until(() => this.acknowledged.length >= goal, {
      what: `${count} more acknowledged writes`,
      everyMs: 20,
    });
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#ended;
  }

  /** Reads back, linearizably, what was acknowledged. @returns the numbers that are missing or different. */
  async missingAt(agent: Agent): Promise<number[]> {
    const missing: number[] = [];
    for (let start = 0; start < this.acknowledged.length; start += READS_AT_ONCE) {
      const numbers = this.acknowledged.slice(start, start + READS_AT_ONCE);
      const entries = await Promise.all(
        numbers.map((number) => agent.call<KvEntry | null>('kv.get', { key: this.keyOf(number) })),
      );
      missing.push(...numbers.filter((number, index) => entries[index]?.value !== String(number)));
    }
    return missing;
  }

  async #write(): Promise<void> {
    let client: RpcClient | undefined;
    for (let number = 1; !this.#stopping.signal.aborted; number += 1) {
      try {
        client ??= await RpcClient.connect(this.#agent.socketPath);
        await client.call('kv.put', { key: this.keyOf(number), value: String(number) }, 30_000);
        this.acknowledged.push(number);
      } catch (error) {
        if (error instanceof RpcError && error.data.outcome === 'not-applied') this.refused.push(number);
        if (client?.isClosed) client = undefined;
        await new Promise((resolve) => setTimeout(resolve, 20)); // a refusal or a dead agent: not a reason to spin
      }
    }
    client?.[Symbol.dispose]();
  }
}
