import type { Logger, PeerId } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { compareEpochs, type Epoch, epochFromWire, epochToWire, FIRST_EPOCH } from './epoch.ts';
import { type Message, parseMessage } from './raft/index.ts';

/** Payloads of the messages that share one frame. Unit: bytes. */
const FRAME_PAYLOAD_BYTES = 1.5 * 2 ** 20;
const MESSAGE_OVERHEAD_BYTES = 256;

export interface RaftChannelComponents {
  readonly messenger: Messenger;
  readonly log: Logger;
  /** Whether a peer's word about the group is listened to at all. */
  readonly mayVote: (peerId: PeerId) => boolean;
  /** The life of the group that this node is in. */
  readonly epoch: () => Epoch;
  /** A peer is in a later one. */
  readonly onLaterEpoch: (epoch: Epoch) => void;
}

/**
 * Carries the messages of one group: several to a frame, one way, before all other traffic.
 *
 * - E4 Only messages of this node's own epoch reach raft. Who speaks of an earlier one is told; who hears of a later one follows it.
 */
export class RaftChannel implements Disposable {
  readonly #messenger: Messenger;
  readonly #method: string;
  readonly #handlers: readonly Disposable[];
  readonly #epoch: () => Epoch;

  /** @param onMessages messages whose sender is proven; called once a frame. */
  constructor(
    { messenger, log, mayVote, epoch, onLaterEpoch }: RaftChannelComponents,
    group: string,
    onMessages: (messages: readonly Message[]) => void,
  ) {
    this.#messenger = messenger;
    this.#method = `raft/${group}`;
    this.#epoch = epoch;
    const onFrame = (from: PeerId, body: unknown) => {
      const frame = readFrame(body, from);
      if (frame === undefined) {
        log.warn({ from }, 'malformed raft messages dropped');
        return;
      }
      const order = compareEpochs(frame.epoch, epoch());
      if (order === 0) onMessages(frame.messages);
      else if (order < 0) this.#tell(from);
      else onLaterEpoch(frame.epoch);
    };
    this.#handlers = [
      messenger.handle(this.#method, ({ from, body }) => {
        if (mayVote(from)) onFrame(from, body);
      }),
      messenger.handle(`${this.#method}/epoch`, ({ from, body }) => {
        const told = mayVote(from) ? epochFromWire(body) : undefined;
        if (told !== undefined && compareEpochs(told, epoch()) > 0) onLaterEpoch(told);
      }),
      messenger.onPeer(({ peerId, type }) => {
        if (type === 'opened' && compareEpochs(epoch(), FIRST_EPOCH) > 0) this.#tell(peerId);
      }),
    ];
  }

  /** @returns peers that could not be reached. */
  send(messages: readonly Message[]): readonly PeerId[] {
    if (messages.length === 0) return [];
    const unreachable: PeerId[] = [];
    for (const [to, own] of Map.groupBy(messages, (message) => message.to)) {
      for (const frame of framesOf(own)) {
        if (this.#messenger.send(to, this.#method, this.#wrap(frame), 'raft')) continue;
        unreachable.push(to);
        break;
      }
    }
    return unreachable;
  }

  [Symbol.dispose](): void {
    for (const handler of this.#handlers) handler[Symbol.dispose]();
  }

  /** A bare list is of the first epoch: most groups never know another. */
  #wrap(messages: readonly Message[]): unknown {
    const epoch = this.#epoch();
    return compareEpochs(epoch, FIRST_EPOCH) === 0 ? messages : { epoch: epochToWire(epoch), messages };
  }

  #tell(peer: PeerId): void {
    this.#messenger.send(peer, `${this.#method}/epoch`, epochToWire(this.#epoch()), 'raft');
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

function readFrame(
  body: unknown,
  from: PeerId,
): { readonly epoch: Epoch; readonly messages: readonly Message[] } | undefined {
  const isBare = Array.isArray(body);
  const fields = (body ?? {}) as { readonly epoch?: unknown; readonly messages?: unknown };
  const epoch = isBare ? FIRST_EPOCH : epochFromWire(fields.epoch);
  const messages = readMessages(isBare ? body : fields.messages, from);
  return epoch === undefined || messages === undefined ? undefined : { epoch, messages };
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
