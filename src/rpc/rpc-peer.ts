import { AspenError, type Logger, SlotMap } from '../base/index.ts';
import { LINE_BYTES_LIMIT, LineSplitter } from './framing.ts';
import type { LineDuplex } from './line-duplex.ts';
import type { LineRoom } from './line-room.ts';
import {
  classifyMessage,
  formatError,
  formatNotification,
  formatRequest,
  formatResult,
  type RpcId,
  type RpcMessage,
} from './message.ts';
import { fromRpcError, RpcFailure, toRpcError } from './rpc-error.ts';

/** Answers a request, or takes a notification (whose result goes nowhere). */
export type RpcHandler = (method: string, params: unknown) => Promise<unknown>;

export interface RpcPeerComponents {
  readonly duplex: LineDuplex;
  readonly logger: Logger;
  readonly handle: RpcHandler;
}

export interface RpcPeerOptions {
  /** Requests of the other side that are being answered; more are refused RESOURCE_EXHAUSTED. @default 16_384 */
  readonly inFlightLimit?: number;
  /** Text that a slow reader may leave untaken before its connection is closed. Unit: bytes. @default 64 MiB */
  readonly outgoingBytesLimit?: number;
  /** Longest line taken. Unit: bytes. @default 16 MiB */
  readonly lineBytesLimit?: number;
  /** Shared with other connections. @default bounded by `lineBytesLimit` alone */
  readonly lineRoom?: LineRoom;
}

/** Messages in one batch. */
const BATCH_LIMIT = 10_000;
const RETRY_AFTER_MS = 100;
/** Of UTF-8, at the most. */
const BYTES_PER_CHARACTER = 3;

/** What became of a request of ours; `result` and `error` as the other side sent them. */
export type RpcAnswer =
  | { readonly type: 'result'; readonly result: unknown }
  | { readonly type: 'error'; readonly error: unknown }
  | { readonly type: 'closed' };

/**
 * One side of a JSON-RPC 2.0 connection; both sides may send requests.
 *
 * - R4 Every request with an id gets exactly one response, whatever its handler does.
 * - R5 A value that cannot be understood is answered with an error and harms nothing else; only an oversize line ends the connection.
 * - R6 Nothing grows without a limit: requests in flight, text that the other side does not read.
 * - R7 When the connection closes, every request of ours that is unanswered fails UNAVAILABLE, outcome unknown.
 */
export class RpcPeer {
  readonly #duplex: LineDuplex;
  readonly #logger: Logger;
  readonly #handle: RpcHandler;
  readonly #inFlightLimit: number;
  readonly #outgoingBytesLimit: number;
  readonly #splitter: LineSplitter;
  readonly #lineBytesLimit: number;
  readonly #lineRoom: LineRoom | undefined;
  #heldBytes = 0;
  readonly #pending = new SlotMap<number, (answer: RpcAnswer) => void>();
  readonly #closed = new AbortController();
  /** One for all that come alone. */
  readonly #respond = (response: string): void => void this.#write(response);
  #waitsForDrain: (() => void)[] = [];
  #nextId = 1;
  #inFlight = 0;
  #isSlow = false;
  #isHeld = false;
  #hasEnded = false;

  constructor({ duplex, logger, handle }: RpcPeerComponents, options: RpcPeerOptions = {}) {
    this.#duplex = duplex;
    this.#logger = logger;
    this.#handle = handle;
    this.#inFlightLimit = options.inFlightLimit ?? 16_384;
    this.#outgoingBytesLimit = options.outgoingBytesLimit ?? 64 * 2 ** 20;
    this.#lineBytesLimit = options.lineBytesLimit ?? LINE_BYTES_LIMIT;
    this.#lineRoom = options.lineRoom;
    this.#splitter = new LineSplitter(this.#lineBytesLimit);
    duplex.onData((chunk) => this.#receive(chunk));
    duplex.onDrain(() => this.#goOn());
    duplex.onEnd(() => this.#endOfInput());
    duplex.onClose(() => this.#fail());
  }

  /** Aborted when the connection has closed. */
  get signal(): AbortSignal {
    return this.#closed.signal;
  }

  /** @throws AspenError as the other side answered; UNAVAILABLE when the connection closes first. */
  request(method: string, params?: unknown): Promise<unknown> {
    if (this.signal.aborted) return Promise.reject(closedError('not-applied'));
    return new Promise((resolve, reject) => {
      this.ask(method, params, (answer) => {
        if (answer.type === 'result') resolve(answer.result);
        else reject(answer.type === 'closed' ? closedError('unknown') : fromRpcError(answer.error));
      });
    });
  }

  /**
   * As `request`, for callers who want the answer as it came, in the turn in which it came.
   * @param onAnswer called once. @returns false when the other side reads slower than we write: wait for `drained` before more.
   */
  ask(method: string, params: unknown, onAnswer: (answer: RpcAnswer) => void): boolean {
    if (this.signal.aborted) {
      onAnswer({ type: 'closed' });
      return true;
    }
    const id = this.#nextId++;
    this.#pending.set(id, onAnswer);
    return this.#write(formatRequest(id, method, params));
  }

  /** @returns false when the other side reads slower than we write: wait for `drained` before more. */
  notify(method: string, params?: unknown): boolean {
    return !this.signal.aborted && this.#write(formatNotification(method, params));
  }

  /** Resolves when the other side has caught up, or the connection has closed. */
  drained(): Promise<void> {
    if (!this.#isSlow || this.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#waitsForDrain.push(resolve));
  }

  /** Stops and goes on reading, responses included: what is not read presses back on the other side. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld;
    this.#pauseOrResume();
  }

  close(): void {
    this.#duplex.close();
  }

  #receive(chunk: Buffer): void {
    for (const event of this.#splitter.push(chunk)) {
      if (event.type === 'line') this.#receiveLine(event.text);
      else this.#refuseLine(event.type);
    }
    if (this.#splitter.heldBytes !== this.#heldBytes) this.#hold(this.#splitter.heldBytes);
  }

  /** R14 */
  #hold(heldBytes: number): void {
    if (this.signal.aborted) return;
    const hasRoom = this.#lineRoom?.change(heldBytes - this.#heldBytes) ?? true;
    this.#heldBytes = heldBytes;
    if (hasRoom) return;
    this.#logger.warn({ heldBytes }, 'too much waits for the ends of lines, connection closed');
    this.#duplex.destroy();
  }

  #refuseLine(reason: 'not-utf8' | 'oversize'): void {
    const isLost = reason === 'oversize';
    const message = isLost ? 'the line is longer than 16 MiB' : 'the line is not UTF-8';
    this.#logger.warn({ reason }, 'line refused');
    this.#write(formatError(null, toRpcError(new AspenError('PARSE_ERROR', message))));
    if (isLost) this.close();
  }

  #receiveLine(text: string): void {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (cause) {
      const message = `the line is not JSON: ${(cause as Error).message}`;
      this.#write(formatError(null, toRpcError(new AspenError('PARSE_ERROR', message, { cause }))));
      return;
    }
    if (Array.isArray(value)) void this.#receiveBatch(value);
    else this.#receiveOne(value, this.#respond);
  }

  async #receiveBatch(values: readonly unknown[]): Promise<void> {
    if (values.length === 0 || values.length > BATCH_LIMIT) {
      const reason = `a batch holds 1 to ${BATCH_LIMIT} messages, got ${values.length}`;
      this.#write(formatError(null, toRpcError(new AspenError('INVALID_REQUEST', reason))));
      return;
    }
    const responses: string[] = [];
    await Promise.all(values.map((value) => this.#receiveOne(value, (response) => responses.push(response))));
    if (responses.length > 0) this.#write(`[${responses.join(',')}]`);
  }

  #receiveOne(value: unknown, respond: (response: string) => void): Promise<void> | undefined {
    const message = classifyMessage(value);
    switch (message.type) {
      case 'request':
        return this.#answer(message, respond);
      case 'notification':
        return this.#take(message);
      case 'invalid':
        this.#refuse(message, respond);
        return undefined;
      default:
        this.#settle(message);
        return undefined;
    }
  }

  /** R15 Whoever waits for the answer that this was to be would wait for ever. */
  #refuse(
    { id, reason, answers }: RpcMessage & { type: 'invalid' },
    respond: (response: string) => void,
  ): void {
    respond(formatError(id, toRpcError(new AspenError('INVALID_REQUEST', reason))));
    if (answers === undefined) return;
    const error = new AspenError('INVALID_REQUEST', `the answer cannot be understood: ${reason}`);
    this.#settle({ type: 'error', id: answers, error: toRpcError(error) });
  }

  /** Without a frame of its own: there is one for each request. */
  #answer(
    { id, method, params }: RpcMessage & { readonly type: 'request' },
    respond: (response: string) => void,
  ): Promise<void> | undefined {
    if (this.#inFlight >= this.#inFlightLimit) {
      respond(formatError(id, toRpcError(tooManyInFlight(this.#inFlightLimit))));
      return undefined;
    }
    this.#inFlight += 1;
    return this.#handle(method, params).then(
      (result) => this.#answered(respond, this.#resultText(id, method, result)),
      (error: unknown) => this.#answered(respond, this.#errorText(id, method, error)),
    );
  }

  #answered(respond: (response: string) => void, response: string): void {
    respond(response);
    this.#inFlight -= 1;
    this.#closeWhenAnswered();
  }

  #resultText(id: RpcId, method: string, result: unknown): string {
    try {
      return this.#fitting(id, formatResult(id, result));
    } catch (error) {
      return this.#errorText(id, method, error); // it cannot be said in JSON
    }
  }

  #errorText(id: RpcId, method: string, error: unknown): string {
    if (error instanceof RpcFailure) return formatError(id, error.error);
    if (!(error instanceof AspenError)) this.#logger.error({ err: error, method }, 'handler failed');
    return formatError(id, toRpcError(error));
  }

  /** A notification is not answered, not even with an error; what went wrong is for the log. */
  async #take({ method, params }: RpcMessage & { readonly type: 'notification' }): Promise<void> {
    if (this.#inFlight >= this.#inFlightLimit) {
      this.#logger.warn({ method }, 'notification dropped, too many requests in flight');
      return;
    }
    this.#inFlight += 1;
    try {
      await this.#handle(method, params);
    } catch (error) {
      this.#logger.debug({ err: error, method }, 'notification failed');
    } finally {
      this.#inFlight -= 1;
      this.#closeWhenAnswered();
    }
  }

  /** A response to nothing we asked is dropped: it may be late. */
  #settle(message: RpcMessage & { readonly type: 'result' | 'error' }): void {
    const pending = this.#pending.get(message.id);
    if (pending === undefined) return;
    this.#pending.delete(message.id);
    pending(message);
  }

  /** A line that the other side would refuse would end the connection, and everything else on it. */
  #fitting(id: RpcId, response: string): string {
    if (response.length <= this.#lineBytesLimit / BYTES_PER_CHARACTER) return response;
    const bytes = Buffer.byteLength(response);
    if (bytes < this.#lineBytesLimit) return response;
    const message = `the answer has ${bytes} bytes, a line takes ${this.#lineBytesLimit}`;
    const details = { limit: 'lineBytesLimit', retryable: false };
    return formatError(id, toRpcError(new AspenError('RESOURCE_EXHAUSTED', message, { details })));
  }

  /** While the other side does not read, its requests wait too: that bounds what we owe it (R6). */
  #write(text: string): boolean {
    const hasRoom = this.#duplex.write(`${text}\n`);
    if (this.#duplex.bufferedBytes > this.#outgoingBytesLimit) {
      this.#logger.warn({ bufferedBytes: this.#duplex.bufferedBytes }, 'slow reader, connection closed');
      this.#duplex.destroy();
    } else if (!hasRoom && !this.#isSlow) {
      this.#isSlow = true;
      this.#pauseOrResume();
    }
    return hasRoom;
  }

  #goOn(): void {
    if (!this.#isSlow) return;
    this.#isSlow = false;
    this.#pauseOrResume();
    this.#wakeWriters();
  }

  #pauseOrResume(): void {
    if (this.#isSlow || this.#isHeld) this.#duplex.pause();
    else this.#duplex.resume();
  }

  #wakeWriters(): void {
    const waiting = this.#waitsForDrain;
    this.#waitsForDrain = [];
    for (const wake of waiting) wake();
  }

  /** The other side has said all it will (`printf ... | nc -U`): it still gets its answers. */
  #endOfInput(): void {
    this.#hasEnded = true;
    this.#closeWhenAnswered();
  }

  #closeWhenAnswered(): void {
    if (this.#hasEnded && this.#inFlight === 0) this.#duplex.close();
  }

  #fail(): void {
    if (this.signal.aborted) return;
    this.#lineRoom?.change(-this.#heldBytes);
    this.#heldBytes = 0;
    const pending = this.#pending.values();
    this.#pending.clear();
    this.#closed.abort(closedError('unknown'));
    for (const onAnswer of pending) onAnswer({ type: 'closed' });
    this.#wakeWriters();
  }
}

function closedError(outcome: 'not-applied' | 'unknown'): AspenError {
  return new AspenError('UNAVAILABLE', 'the connection has closed', { outcome });
}

function tooManyInFlight(limit: number): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', `more than ${limit} requests in flight on this connection`, {
    details: { limit: 'inFlightLimit', retryAfterMs: RETRY_AFTER_MS },
  });
}
