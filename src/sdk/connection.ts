import { silentLogger } from '../base/index.ts';
import type { JobLog, JobLogEnd } from '../rpc/index.ts';
import { type LineDuplex, RpcPeer } from '../rpc/os-client.ts';
import { LogStream } from './log-stream.ts';

/** Subscriptions whose output came before the answer that names them. */
const UNCLAIMED_LIMIT = 64;

/** One connection to an agent, with the output streams that came over it. */
export class AgentConnection {
  readonly peer: RpcPeer;
  readonly #streams = new Map<string, LogStream>();
  readonly #unclaimed = new Set<string>();
  #pressedCount = 0;

  constructor(duplex: LineDuplex) {
    this.peer = new RpcPeer({
      duplex,
      logger: silentLogger,
      handle: (method, params) => this.#take(method, params),
    });
    this.peer.signal.addEventListener('abort', () => this.#endStreams(), { once: true });
  }

  get isClosed(): boolean {
    return this.peer.signal.aborted;
  }

  /** @returns the stream of a subscription; its first pieces may have come before the answer that named it. */
  claim(subscription: string): LogStream {
    this.#unclaimed.delete(subscription);
    const stream = this.#streamOf(subscription);
    stream.claim();
    if (this.isClosed) stream.end('the connection has closed');
    return stream;
  }

  release(subscription: string): void {
    this.#streams.delete(subscription);
  }

  async #take(method: string, params: unknown): Promise<null> {
    if (method === 'job.log') {
      const log = params as JobLog;
      this.#arrived(log.subscription)?.push(log);
    } else if (method === 'job.logEnd') {
      const { subscription, reason } = params as JobLogEnd;
      this.#arrived(subscription)?.end(reason);
    }
    return null;
  }

  #arrived(subscription: string): LogStream | undefined {
    const isKnown = this.#streams.has(subscription);
    if (!isKnown && this.#unclaimed.size >= UNCLAIMED_LIMIT) return undefined;
    if (!isKnown) this.#unclaimed.add(subscription);
    return this.#streamOf(subscription);
  }

  #streamOf(subscription: string): LogStream {
    const known = this.#streams.get(subscription);
    if (known !== undefined) return known;
    const stream = new LogStream((isPressed) => {
      this.#pressedCount += isPressed ? 1 : -1;
      this.peer.hold(this.#pressedCount > 0);
    });
    this.#streams.set(subscription, stream);
    return stream;
  }

  #endStreams(): void {
    for (const stream of this.#streams.values()) stream.end('the connection has closed');
  }
}
