import {
  AspenError,
  type Clock,
  every,
  fromWireError,
  InvariantError,
  type Logger,
  type PeerId,
  type Random,
  toWireError,
  unreachable,
} from '../base/index.ts';
import {
  decodeMessage,
  encodeFailure,
  encodeOneWay,
  encodeReply,
  encodeRequest,
  type Message,
} from './message.ts';
import type { HandleOptions, Incoming, Messenger, RequestOptions } from './messenger.ts';
import { PendingRequests } from './pending-requests.ts';
import { RecentIds } from './recent-ids.ts';
import { FRAME_BYTES_LIMIT, type Priority, type Transport } from './transport.ts';

export interface MessengerComponents {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
}

export interface MessengerOptions {
  /** Requests of one peer that may be in service at once; beyond it they are answered RESOURCE_EXHAUSTED. @default 4_096 */
  readonly servedPerPeerLimit?: number;
  /** Own requests that may wait for an answer at once. @default 65_536 */
  readonly pendingRequestsLimit?: number;
  /** Malformed frames after which a peer's channel is closed. @default 8 */
  readonly malformedLimit?: number;
}

/** What a link has used of its budget. */
interface PeerBudget {
  served: number;
  malformed: number;
}

type Handler = (message: Incoming) => unknown;

/** How many of a peer's latest request ids are remembered, so that a doubled frame is served once. */
const DUPLICATE_WINDOW_IDS = 8_192;
/** They are forgotten between one and two of it: a link on which nothing arrives for seconds has ended, and no frame is doubled so much later. Unit: ms. */
const DUPLICATE_WINDOW_MS = 120_000;
const RETRY_AFTER_MS = 100;

/**
 * Requests and one-way messages over a Transport.
 *
 * - Q1 A request runs its handler at most once, however often its frame arrives within two minutes.
 * - Q2 A request settles exactly once: with the answer of the very peer that was asked, its deadline, or the end of the channel.
 * - Q3 One peer can use up its own budget only.
 *
 * A body sent to oneself is handed over as it is, not copied: neither side may change it afterwards.
 */
export class TransportMessenger implements Messenger, Disposable {
  readonly self: PeerId;
  readonly #transport: Transport;
  readonly #log: Logger;
  readonly #servedPerPeerLimit: number;
  readonly #malformedLimit: number;
  readonly #pending: PendingRequests;
  readonly #handlers = new Map<string, Handler>();
  /** Methods whose answers do not leave as `control`. */
  readonly #replyPriorities = new Map<string, Priority>();
  readonly #budgets = new Map<PeerId, PeerBudget>();
  readonly #recent = new Map<PeerId, RecentIds<number>>();
  readonly #subscriptions: readonly Disposable[];
  #nextId: number;

  constructor({ transport, clock, random, log }: MessengerComponents, options: MessengerOptions = {}) {
    this.self = transport.self;
    this.#transport = transport;
    this.#log = log.child({ part: 'messenger' });
    this.#servedPerPeerLimit = options.servedPerPeerLimit ?? 4_096;
    this.#malformedLimit = options.malformedLimit ?? 8;
    this.#pending = new PendingRequests(clock, options.pendingRequestsLimit ?? 65_536);
    // Starts anywhere in 2^52, so that ids of an earlier run of this node are not taken for these (Q1, Q2).
    this.#nextId = random.uint32() * 2 ** 20;
    this.#subscriptions = [
      transport.onFrame((from, frame) => this.#receive(from, frame)),
      transport.onLink(({ peerId, type }) => {
        if (type === 'closed') this.#onClosed(peerId);
      }),
      every(clock, DUPLICATE_WINDOW_MS, () => this.#forgetOldIds()),
    ];
  }

  async request(to: PeerId, method: string, body: unknown, options: RequestOptions): Promise<unknown> {
    options.signal?.throwIfAborted();
    const id = this.#nextId++;
    const frame = to === this.self ? undefined : checkedFrame(encodeRequest(id, method, body), method);
    const answer = this.#pending.add(id, {
      to,
      method,
      timeoutMs: options.timeoutMs,
      signal: options.signal,
    });
    if (frame === undefined) {
      queueMicrotask(() => this.#serveLocally(id, method, body));
    } else if (!this.#transport.send(to, frame, options.priority ?? 'control')) {
      this.#pending.reject(id, to, this.#notSent(to, method));
    }
    return answer;
  }

  send(to: PeerId, method: string, body: unknown, priority: Priority = 'control'): boolean {
    if (to === this.self) {
      queueMicrotask(
        () => void this.#run(to, method, body, ignore, (error) => this.#logFailure(to, method, error)),
      );
      return true;
    }
    return this.#transport.send(to, checkedFrame(encodeOneWay(method, body), method), priority);
  }

  handle(method: string, handler: Handler, { replyPriority }: HandleOptions = {}): Disposable {
    if (this.#handlers.has(method)) throw new AspenError('CONFLICT', `${method} has a handler already`);
    this.#handlers.set(method, handler);
    if (replyPriority !== undefined) this.#replyPriorities.set(method, replyPriority);
    return {
      [Symbol.dispose]: () => {
        this.#handlers.delete(method);
        this.#replyPriorities.delete(method);
      },
    };
  }

  connected(): readonly PeerId[] {
    return this.#transport.links().map(({ peerId }) => peerId);
  }

  onPeer(
    callback: (event: { readonly peerId: PeerId; readonly type: 'opened' | 'closed' }) => void,
  ): Disposable {
    return this.#transport.onLink(callback);
  }

  [Symbol.dispose](): void {
    for (const subscription of this.#subscriptions) subscription[Symbol.dispose]();
    this.#pending.failAll((method) => new AspenError('UNAVAILABLE', `${method}: this node is stopping`));
  }

  #receive(from: PeerId, frame: Uint8Array): void {
    let message: Message;
    try {
      message = decodeMessage(frame);
    } catch (err) {
      this.#onMalformed(from, err);
      return;
    }
    switch (message.kind) {
      case 'request':
        this.#serve(from, message.id, message.method, message.body);
        return;
      case 'reply':
        this.#pending.resolve(message.id, from, message.body);
        return;
      case 'failure':
        this.#pending.reject(message.id, from, fromWireError(message.error));
        return;
      case 'oneWay':
        this.#run(from, message.method, message.body, ignore, (error) =>
          this.#logFailure(from, message.method, error),
        );
        return;
      default:
        unreachable(message);
    }
  }

  #serve(from: PeerId, id: number, method: string, body: unknown): void {
    if (!this.#recentOf(from).add(id)) return; // Q1
    const budget = this.#budgetOf(from);
    if (budget.served >= this.#servedPerPeerLimit) {
      this.#reply(from, encodeFailure(id, overBudget(this.#servedPerPeerLimit)));
      return;
    }
    budget.served += 1;
    this.#run(
      from,
      method,
      body,
      (result) => {
        budget.served -= 1;
        this.#replyResult(from, id, method, result);
      },
      (error) => {
        budget.served -= 1;
        this.#reply(from, encodeFailure(id, error));
      },
    );
  }

  #serveLocally(id: number, method: string, body: unknown): void {
    this.#run(
      this.self,
      method,
      body,
      (result) => this.#pending.resolve(id, this.self, result),
      (error) => this.#pending.reject(id, this.self, asAspenError(error)),
    );
  }

  /** Calls the handler; a result that is not a promise is passed on at once, which is the way of most of the traffic. */
  #run(
    from: PeerId,
    method: string,
    body: unknown,
    onResult: (result: unknown) => void,
    onError: (error: unknown) => void,
  ): void {
    const handler = this.#handlers.get(method);
    if (handler === undefined) {
      onError(new AspenError('METHOD_NOT_FOUND', `${this.self} serves no ${method}`));
      return;
    }
    let result: unknown;
    try {
      result = handler({ from, body });
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      onError(error);
      return;
    }
    if (result instanceof Promise) {
      result.then(onResult, (error) => {
        if (error instanceof InvariantError) throw error; // unhandled on purpose: the process stops
        onError(error);
      });
    } else onResult(result);
  }

  #replyResult(to: PeerId, id: number, method: string, result: unknown): void {
    try {
      this.#reply(to, checkedFrame(encodeReply(id, result), method), this.#replyPriorities.get(method));
    } catch (error) {
      this.#reply(to, encodeFailure(id, error));
    }
  }

  #reply(to: PeerId, frame: Uint8Array, priority: Priority = 'control'): void {
    if (!this.#transport.send(to, frame, priority))
      this.#log.debug({ to }, 'answer dropped, the channel is full or closed');
  }

  #onMalformed(from: PeerId, err: unknown): void {
    const budget = this.#budgetOf(from);
    budget.malformed += 1;
    this.#log.warn({ err, from, count: budget.malformed }, 'malformed frame');
    if (budget.malformed >= this.#malformedLimit) {
      budget.malformed = 0;
      this.#transport.hangUp(from, 'too many malformed frames');
    }
  }

  #onClosed(peerId: PeerId): void {
    this.#budgets.delete(peerId);
    this.#pending.failAll(
      (method) =>
        new AspenError('UNAVAILABLE', `${method}: the channel to ${peerId} closed`, { outcome: 'unknown' }),
      peerId,
    );
  }

  #notSent(to: PeerId, method: string): AspenError {
    const why = this.#transport.isLinked(to) ? 'its queue is full' : 'no channel is open';
    return new AspenError('UNAVAILABLE', `${method} was not sent to ${to}: ${why}`, {
      outcome: 'not-applied',
    });
  }

  #logFailure(from: PeerId, method: string, err: unknown): void {
    this.#log.debug({ err, from, method }, 'one-way message failed');
  }

  #budgetOf(peerId: PeerId): PeerBudget {
    let budget = this.#budgets.get(peerId);
    if (budget === undefined) {
      budget = { served: 0, malformed: 0 };
      this.#budgets.set(peerId, budget);
    }
    return budget;
  }

  /** Else whoever leads a large mesh would hold thousands of ids of each member, and of each that ever was one. */
  #forgetOldIds(): void {
    for (const [peerId, recent] of this.#recent) if (!recent.age()) this.#recent.delete(peerId);
  }

  /** Kept over the end of a channel: a frame of the old one may still be doubled on the new one. */
  #recentOf(peerId: PeerId): RecentIds<number> {
    let recent = this.#recent.get(peerId);
    if (recent === undefined) {
      recent = new RecentIds(DUPLICATE_WINDOW_IDS);
      this.#recent.set(peerId, recent);
    }
    return recent;
  }
}

function ignore(): void {
  // a one-way message has no answer
}

function checkedFrame(frame: Uint8Array, method: string): Uint8Array {
  if (frame.length > FRAME_BYTES_LIMIT) {
    throw new AspenError(
      'RESOURCE_EXHAUSTED',
      `${method}: ${frame.length} bytes do not fit a frame of ${FRAME_BYTES_LIMIT}`,
      {
        details: { limit: 'FRAME_BYTES_LIMIT' },
      },
    );
  }
  return frame;
}

function overBudget(limit: number): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', `${limit} requests of this peer are in service already`, {
    details: { limit: 'servedPerPeerLimit', retryAfterMs: RETRY_AFTER_MS },
  });
}

/** What a caller next door gets is what a caller far away would get. */
function asAspenError(error: unknown): AspenError {
  return error instanceof AspenError ? error : fromWireError(toWireError(error));
}
