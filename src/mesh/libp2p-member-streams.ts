import type {
  Connection,
  Libp2p,
  PeerId as Libp2pPeerId,
  Stream,
  StreamMessageEvent,
} from '@libp2p/interface';
import { peerIdFromString } from '@libp2p/peer-id';
import { AspenError, type Clock, type Logger, type PeerId } from '../base/index.ts';
import { AttemptBudget, type AttemptBudgetOptions } from './attempt-budget.ts';
import { MessageBound } from './message-bound.ts';

export interface MemberStreamsComponents {
  readonly node: () => Libp2p;
  readonly clock: Clock;
  readonly log: Logger;
  readonly isMember: (peerId: Libp2pPeerId) => boolean;
  /** Makes a new connection. */
  readonly dial: (peerId: PeerId, addresses: readonly string[], signal: AbortSignal) => Promise<Connection>;
  readonly markBusy: (connection: Connection) => Disposable | undefined;
}

/** A protocol in which who asks opens a stream, sends one message, and gets one back. */
export interface MemberProtocol {
  readonly name: string;
  readonly requestBytesLimit: number;
  readonly answerBytesLimit: number;
  /** How often one member may ask. */
  readonly budget: AttemptBudgetOptions;
}

type Handler = (stream: Stream, connection: Connection) => void | Promise<void>;

/** Open at once on one connection, either way. */
const STREAMS_LIMIT = 8;

/**
 * Lets another part speak a protocol of its own with members, over the connections of the transport: linked ones, and short ones that the
 * transport closes when nothing goes over them any more.
 *
 * - M1 A stream of somebody who is no member at that moment is ended before the other part hears of it (T2).
 * - M2 One stream carries one message each way, of a bounded length, and one member has a bounded number of them: whoever asks costs more
 *   than one who answers only by a bounded factor.
 */
export class Libp2pMemberStreams {
  readonly #components: MemberStreamsComponents;
  #refused = 0;

  constructor(components: MemberStreamsComponents) {
    this.#components = components;
  }

  /** Streams that were ended for a limit, since the start. */
  get refusedCount(): number {
    return this.#refused;
  }

  /** Answers on this protocol until disposed. */
  async serve(protocol: MemberProtocol, handler: Handler): Promise<AsyncDisposable> {
    const budget = new AttemptBudget(this.#components.clock, protocol.budget);
    const node = this.#components.node();
    await node.handle(
      protocol.name,
      (stream, connection) => this.#receive(stream, connection, { protocol, budget, handler }),
      { maxInboundStreams: STREAMS_LIMIT, maxOutboundStreams: STREAMS_LIMIT },
    );
    return { [Symbol.asyncDispose]: () => node.unhandle(protocol.name) };
  }

  /**
   * @param addresses where to dial the member when no connection to it is open.
   * @throws AspenError DENIED when it is no member; whatever dialing, or agreeing on the protocol, ends with.
   */
  async open(
    protocol: MemberProtocol,
    peerId: PeerId,
    addresses: readonly string[],
    signal: AbortSignal,
  ): Promise<Stream> {
    const { node, isMember, dial, markBusy } = this.#components;
    const target = peerIdFromString(peerId);
    if (!isMember(target)) throw new AspenError('DENIED', `${peerId} is no member`); // M1
    const open = node()
      .getConnections(target)
      .find(({ status }) => status === 'open');
    const connection = open ?? (await dial(peerId, addresses, signal));
    const busy = markBusy(connection);
    try {
      const stream = await connection.newStream(protocol.name, { signal });
      stream.addEventListener('close', () => busy?.[Symbol.dispose]());
      if (stream.status !== 'open') busy?.[Symbol.dispose]();
      this.#bound(stream, protocol.answerBytesLimit);
      return stream;
    } catch (error) {
      busy?.[Symbol.dispose]();
      throw error;
    }
  }

  #receive(
    stream: Stream,
    connection: Connection,
    { protocol, budget, handler }: { protocol: MemberProtocol; budget: AttemptBudget; handler: Handler },
  ): void {
    const { remotePeer } = connection;
    const attempt = this.#components.isMember(remotePeer) // M1
      ? budget.take(remotePeer.toString() as PeerId)
      : undefined;
    if (attempt === undefined) {
      this.#refuse(stream, 'no member, or too many requests');
      return;
    }
    const busy = this.#components.markBusy(connection);
    const end = () => {
      attempt[Symbol.dispose]();
      busy?.[Symbol.dispose]();
    };
    stream.addEventListener('close', end);
    if (stream.status !== 'open') {
      end();
      return;
    }
    this.#bound(stream, protocol.requestBytesLimit);
    // Begun at once, so that it hears what has come already.
    Promise.resolve(handler(stream, connection)).catch((err: unknown) => {
      stream.abort(err instanceof Error ? err : new Error(String(err)));
      this.#components.log.debug({ err, peerId: remotePeer.toString() }, 'a request of a member failed');
    });
  }

  /** M2 */
  #bound(stream: Stream, bytesLimit: number): void {
    const bound = new MessageBound(bytesLimit);
    const onMessage = ({ data }: StreamMessageEvent) => {
      if (bound.admits(data instanceof Uint8Array ? data : data.subarray())) return;
      stream.removeEventListener('message', onMessage);
      this.#refuse(stream, 'more than one message, or a longer one than there are');
    };
    stream.addEventListener('message', onMessage);
  }

  #refuse(stream: Stream, why: string): void {
    this.#refused += 1;
    stream.abort(new Error(why));
  }
}
