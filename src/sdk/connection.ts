import { AspenError, silentLogger } from '../base/index.ts';
import type { JobLog, JobLogEnd, MethodName } from '../rpc/index.ts';
import { fromRpcError, type LineDuplex, RpcPeer } from '../rpc/os-client.ts';
import { CONNECTION_LOST, LogStream } from './log-stream.ts';
import { NoteStream } from './note-stream.ts';

/** Subscriptions whose output came before the answer that names them. */
const UNCLAIMED_LIMIT = 64;

/** One connection to an agent, with the output streams that came over it. */
export class AgentConnection {
  readonly peer: RpcPeer;
  readonly #streams = new Map<string, LogStream>();
  /** Subscriptions of changes, by id. */
  readonly #notes = new Map<string, NoteStream>();
  /** Of those, whose notes came before the answer that names them was taken up; the oldest make room. */
  readonly #unclaimedNotes = new Set<string>();
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
    if (this.isClosed) stream.end(CONNECTION_LOST);
    return stream;
  }

  release(subscription: string): void {
    this.#streams.delete(subscription);
  }

  /**
   * @returns the notifications of a subscription, until `releaseNotes`.
   * @param limit of those kept for a slow consumer.
   */
  claimNotes(subscription: string, limit?: number): NoteStream {
    this.#unclaimedNotes.delete(subscription);
    const stream = this.#notes.get(subscription) ?? new NoteStream();
    if (limit !== undefined) stream.limitTo(limit);
    this.#notes.set(subscription, stream);
    if (this.isClosed) stream.end(CONNECTION_LOST);
    return stream;
  }

  releaseNotes(subscription: string): void {
    this.#notes.delete(subscription);
  }

  /** Tells the agent that a subscription is over, without waiting: what it refuses, or no longer hears, has ended already. */
  end(stopMethod: MethodName, subscription: string): void {
    this.peer.request(stopMethod, { subscription }).catch((error: unknown) => {
      if (!(error instanceof AspenError)) throw error;
    });
  }

  async #take(method: string, params: unknown): Promise<null> {
    if (method === 'job.log') {
      const log = params as JobLog;
      this.#arrived(log.subscription)?.push(log);
    } else if (method === 'job.logEnd') {
      const { subscription, reason } = params as JobLogEnd;
      this.#arrived(subscription)?.end(reason);
    } else this.#takeNote(method, params);
    return null;
  }

  #takeNote(method: string, params: unknown): void {
    const { subscription, ...note } = (params ?? {}) as Readonly<Record<string, unknown>>;
    if (typeof subscription !== 'string') return;
    const stream = this.#notes.get(subscription) ?? this.#unclaimedStream(subscription);
    if (method.endsWith('End')) stream.end(note['reason'] as string | undefined, errorOf(note['error']));
    else stream.push(note);
  }

  #unclaimedStream(subscription: string): NoteStream {
    for (const oldest of this.#unclaimedNotes) {
      if (this.#unclaimedNotes.size < UNCLAIMED_LIMIT) break;
      this.#unclaimedNotes.delete(oldest);
      this.#notes.delete(oldest);
    }
    const stream = new NoteStream();
    this.#unclaimedNotes.add(subscription);
    this.#notes.set(subscription, stream);
    return stream;
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
    for (const stream of this.#streams.values()) stream.end(CONNECTION_LOST);
    for (const stream of this.#notes.values()) stream.end(CONNECTION_LOST);
  }
}

/** A notification of an end may carry the error as an answer would. */
function errorOf(error: unknown): AspenError | undefined {
  return error === undefined ? undefined : fromRpcError(error);
}
