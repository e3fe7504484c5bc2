import { createConnection, type Socket } from 'node:net';

/** What the agent answered instead of a result. `data` is as it came. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  readonly rpcCode: number;
  readonly data: RpcErrorData;

  constructor(method: string, error: { code: number; message: string; data?: RpcErrorData }) {
    super(`${method}: ${error.message} (${error.code} ${error.data?.code ?? ''})`);
    this.rpcCode = error.code;
    this.data = error.data ?? {};
  }
}

export interface RpcErrorData {
  readonly code?: string;
  readonly outcome?: string;
  readonly issues?: readonly { readonly path: unknown; readonly message: string }[];
  readonly [fact: string]: unknown;
}

export interface RpcNotification {
  readonly method: string;
  readonly params: Record<string, unknown>;
}

interface Waiting {
  readonly method: string;
  readonly resolve: (result: unknown) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

interface Incoming {
  readonly id?: number | string | null;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: unknown;
  readonly error?: { code: number; message: string; data?: RpcErrorData };
}

const LINE_FEED = 10;

/**
 * The socket's contract spoken by hand: JSON-RPC 2.0, one value a line. It shares nothing with `src/sdk`, so that an error
 * there cannot hide an error of the agent.
 */
export class RpcClient implements Disposable {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #listeners = new Set<(notification: RpcNotification) => void>();
  #nextId = 1;
  #partial: Buffer[] = [];
  #outgoing: string[] = [];
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#receive(chunk));
    socket.on('error', (error) => this.#end(error));
    socket.on('close', () => this.#end(new Error('the agent closed the connection')));
  }

  static async connect(path: string): Promise<RpcClient> {
    const socket = createConnection({ path });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RpcClient(socket);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @param timeoutMs when this client stops waiting; what the agent does then is unknown. */
  call<R>(method: string, params: object = {}, timeoutMs = 60_000): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      if (this.#isClosed) {
        reject(new Error(`${method}: the connection is closed`));
        return;
      }
      const id = this.#nextId;
      this.#nextId += 1;
      const timer = setTimeout(() => this.#giveUp(id, timeoutMs), timeoutMs);
      this.#waiting.set(id, { method, resolve: resolve as (result: unknown) => void, reject, timer });
      this.#send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }

  onNotification(callback: (notification: RpcNotification) => void): Disposable {
    this.#listeners.add(callback);
    return { [Symbol.dispose]: () => void this.#listeners.delete(callback) };
  }

  [Symbol.dispose](): void {
    this.#end(new Error('this client closed the connection'));
    this.#socket.destroy();
  }

  /** Lines of one turn leave in one write, as a client with many requests in flight would do it. */
  #send(line: string): void {
    if (this.#outgoing.push(line) > 1) return;
    queueMicrotask(() => {
      const lines = this.#outgoing;
      this.#outgoing = [];
      if (!this.#isClosed) this.#socket.write(`${lines.join('\n')}\n`);
    });
  }

  #receive(chunk: Buffer): void {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      this.#partial.push(chunk.subarray(start, end));
      const line = Buffer.concat(this.#partial).toString('utf8');
      this.#partial = [];
      start = end + 1;
      if (line !== '') this.#settle(JSON.parse(line) as Incoming);
    }
    if (start < chunk.length) this.#partial.push(chunk.subarray(start));
  }

  #settle(incoming: Incoming): void {
    if (incoming.method !== undefined) {
      for (const listener of this.#listeners) {
        listener({ method: incoming.method, params: incoming.params ?? {} });
      }
      return;
    }
    const waiting = this.#waiting.get(Number(incoming.id));
    if (waiting === undefined) return;
    this.#waiting.delete(Number(incoming.id));
    clearTimeout(waiting.timer);
    if (incoming.error !== undefined) waiting.reject(new RpcError(waiting.method, incoming.error));
    else waiting.resolve(incoming.result);
  }

  #giveUp(id: number, timeoutMs: number): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    waiting?.reject(new Error(`${waiting.method}: no answer within ${timeoutMs} ms`));
  }

  #end(error: Error): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const waiting of this.#waiting.values()) {
      clearTimeout(waiting.timer);
      waiting.reject(new Error(`${waiting.method}: ${error.message}`));
    }
    this.#waiting.clear();
  }
}
