import type { PeerId } from '../base/index.ts';
import type { Priority } from './transport.ts';

export interface RequestOptions {
  readonly timeoutMs: number;
  readonly priority?: Priority;
  readonly signal?: AbortSignal;
}

export interface HandleOptions {
  /** The queue in which answers wait; `bulk` for long ones, so that they hold up nothing else. @default 'control' */
  readonly replyPriority?: Priority;
}

/** A message as it arrived: the sender is authenticated, the body is foreign and must be checked by a schema. */
export interface Incoming {
  readonly from: PeerId;
  readonly body: unknown;
}

/**
 * Requests and one-way messages between members, over a Transport.
 *
 * `request` rejects with DEADLINE_EXCEEDED (outcome unknown), UNAVAILABLE (outcome not-applied when nothing was sent, unknown
 * when the channel closed after sending), or the AspenError that the peer's handler threw.
 */
export interface Messenger {
  readonly self: PeerId;
  request(to: PeerId, method: string, body: unknown, options: RequestOptions): Promise<unknown>;
  /** @returns false when it was dropped here; true promises nothing. */
  send(to: PeerId, method: string, body: unknown, priority?: Priority): boolean;
  /** Serves requests and one-way messages of this method alike; the result of a one-way message is dropped. Sync or async. */
  handle(method: string, handler: (message: Incoming) => unknown, options?: HandleOptions): Disposable;
  /** Members with an open channel. */
  connected(): readonly PeerId[];
  onPeer(
    callback: (event: { readonly peerId: PeerId; readonly type: 'opened' | 'closed' }) => void,
  ): Disposable;
}
