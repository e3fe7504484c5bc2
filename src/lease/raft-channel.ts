import type { Logger, PeerId } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { type Message, parseMessage } from './raft/index.ts';

/** Payloads of the messages that share one frame. Unit: bytes. */
const FRAME_PAYLOAD_BYTES = 1.5 * 2 ** 20;
const MESSAGE_OVERHEAD_BYTES = 256;

export interface RaftChannelComponents {
  readonly messenger: Messenger;
  readonly log: Logger;
  /** Whether a peer's word about the group is listened to at all. */
  readonly mayVote: (peerId: PeerId) => boolean;
}

/** Carries the messages of one group: several to a frame, one way, before all other traffic. */
export class RaftChannel implements Disposable {
  readonly #messenger: Messenger;
  readonly #method: string;
  readonly #handler: Disposable;

  /** @param onMessages messages whose sender is proven; called once a frame. */
  constructor(
    { messenger, log, mayVote }: RaftChannelComponents,
    group: string,
    onMessages: (messages: readonly Message[]) => void,
  ) {
    this.#messenger = messenger;
    this.#method = `raft/${group}`;
    this.#handler = messenger.handle(this.#method, ({ from, body }) => {
      if (!mayVote(from)) return;
      const messages = readMessages(body, from);
      if (messages === undefined) log.warn({ from }, 'malformed raft messages dropped');
      else onMessages(messages);
    });
  }

  /** @returns peers that could not be reached. */
  send(messages: readonly Message[]): readonly PeerId[] {
    if (messages.length === 0) return [];
    const unreachable: PeerId[] = [];
    for (const [to, own] of Map.groupBy(messages, (message) => message.to)) {
      for (const frame of framesOf(own)) {
        if (this.#messenger.send(to, this.#method, frame, 'raft')) continue;
        unreachable.push(to);
        break;
      }
    }
    return unreachable;
  }

  [Symbol.dispose](): void {
    this.#handler[Symbol.dispose]();
  }
}

function framesOf(messages: readonly Message[]): Message[][] {
  const frames: Message[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const message of messages) {
    const size = sizeOf(message);
    if (bytes + size > FRAME_PAYLOAD_BYTES) {
      frames.push([]);
      bytes = 0;
    }
    frames.at(-1)?.push(message);
    bytes += size;
  }
  return frames;
}

function sizeOf(message: Message): number {
  if (message.type !== 'append') return MESSAGE_OVERHEAD_BYTES;
  return message.entries.reduce((sum, { payload }) => sum + payload.length + 64, MESSAGE_OVERHEAD_BYTES);
}

function readMessages(body: unknown, from: PeerId): Message[] | undefined {
  if (!Array.isArray(body)) return undefined;
  const messages: Message[] = [];
  for (const item of body) {
    const message = parseMessage(item);
    if (message === undefined || message.from !== from) return undefined;
    messages.push(message);
  }
  return messages;
}
