import type { Connection, Stream, StreamMessageEvent } from '@libp2p/interface';
import { AspenError, type Clock, mayGoUnheard, type PeerId, type Timer } from '../base/index.ts';
import { isCircuit, withoutTarget } from './circuit-address.ts';
import { DeliveryWindow } from './delivery-window.ts';
import { FrameDecoder, type Signal, signalSegment } from './frame-codec.ts';
import { FrameQueue } from './frame-queue.ts';
import type { PauseLimits } from './keepalive-rules.ts';
import { widenWindow } from './libp2p-wire.ts';
import { LinkLife } from './link-life.ts';
import type { PeerLink, Priority } from './transport.ts';

export interface ChannelEvents {
  onFrame(frame: Uint8Array): void;
  /** Called once, whatever ended it. */
  onClosed(reason: string): void;
}

export interface ChannelComponents {
  readonly stream: Stream;
  readonly connection: Connection;
  readonly clock: Clock;
  readonly events: ChannelEvents;
}

export interface ChannelOptions {
  readonly peerId: PeerId;
  readonly isOpenedBySelf: boolean;
  readonly queueBytesLimit: number;
  readonly keepaliveMs: number;
  readonly deadAfterMs: number;
  /** How long the path may be left alone while nothing depends on it. */
  readonly pauses: PauseLimits;
}

const HELLO_VERSION = 1;
/** In place of a hello: another process with the peer's identity is linked, and alive. */
const RUNS_ELSEWHERE = 0xff;
export const INSTANCE_BYTES = 8;
const RTT_WEIGHT = 0.2;
/** What is longer lets all that is urgent pass, whatever it was sent as. */
const LONG_BYTES = 16 * 2 ** 10;
/** Ours have 8; what is longer is a mirror for somebody's bytes. */
const PING_BYTES_LIMIT = 64;
/** Unit: ms. */
const REFUSAL_LINGER_MS = 250;
/** How long a channel whose place another one took still waits for its peer to stop sending on it, and then for the end. Unit: ms. */
const RETIRED_WRITES_MS = 4_000;
const RETIRED_ENDS_MS = 10_000;

/** A member is linked to another living process that has this node's identity. */
export class RunsElsewhere extends AspenError {
  constructor(toldBy: PeerId) {
    super('CONFLICT', `${toldBy} is linked to another process with this agent's identity, which is alive`, {
      outcome: 'not-applied',
    });
  }
}

/**
 * One long-lived stream between two members that carries all their frames. Both ends say hello before anything else; the peer's
 * hello tells which run of its process this is.
 *
 * Reading needs no pause: each message is decoded and handed on before the next one is taken from the socket, and what is
 * unfinished is bounded by the decoder.
 */
export class Libp2pChannel implements PeerLink {
  readonly peerId: PeerId;
  readonly address: string;
  readonly path: PeerLink['path'];
  readonly since: number;
  readonly connection: Connection;
  readonly isOpenedBySelf: boolean;
  readonly carrier: string;
  bytesIn = 0;
  bytesOut = 0;
  rttMs: number | undefined;
  /** Which run of the peer's process this is; known once {@link helloed} has resolved. */
  instance = '';
  /** Resolves when the peer has said hello; rejects when the stream ends before. */
  readonly helloed: Promise<void>;
  readonly #hello = Promise.withResolvers<void>();
  readonly #stream: Stream;
  readonly #clock: Clock;
  readonly #events: ChannelEvents;
  readonly #queue: FrameQueue;
  readonly #window = new DeliveryWindow();
  readonly #decoder: FrameDecoder;
  readonly #life: LinkLife;
  readonly #onHeard = new Set<() => void>();
  #owedPong: Uint8Array | undefined;
  #isFlushing = false;
  #isClosed = false;
  #isRetired = false;
  #retirement: readonly Timer[] = [];

  constructor({ stream, connection, clock, events }: ChannelComponents, options: ChannelOptions) {
    this.peerId = options.peerId;
    this.isOpenedBySelf = options.isOpenedBySelf;
    this.connection = connection;
    this.address = withoutTarget(connection.remoteAddr.toString());
    this.path = isCircuit(this.address) ? 'relay' : 'direct';
    this.carrier = carrierOf(this.address);
    this.since = clock.wallMs();
    this.helloed = mayGoUnheard(this.#hello.promise);
    this.#stream = stream;
    this.#clock = clock;
    this.#events = events;
    this.#queue = new FrameQueue({ queueBytesLimit: options.queueBytesLimit });
    this.#decoder = new FrameDecoder({
      frame: (frame) => {
        this.#life.used();
        this.#life.spoke();
        events.onFrame(frame);
      },
      signal: (signal, payload) => this.#onSignal(signal, payload),
    });
    this.#life = new LinkLife(
      { clock, ask: () => this.#ping(), onDead: (pauseTicks) => this.#onDead(pauseTicks, options.pauses) },
      {
        tickMs: options.keepaliveMs,
        deadAfterTicks: Math.max(1, Math.round(options.deadAfterMs / options.keepaliveMs)),
        longestPauseTicks: () => options.pauses.longestFor(options.peerId),
      },
    );
    widenWindow(stream);
    stream.addEventListener('message', (event) => this.#onMessage(event));
    stream.addEventListener('drain', () => {
      if (this.#owedPong !== undefined) this.#sendNow(signalSegment('pong', this.#owedPong));
      this.#owedPong = undefined;
      this.#scheduleFlush();
    });
    stream.addEventListener('remoteCloseWrite', () => {
      if (!this.#isRetired) this.close('the peer closed the channel');
    });
    stream.addEventListener('close', ({ error }) => this.#end(error?.message ?? 'the stream closed'));
  }

  /** @param instance {@link INSTANCE_BYTES} bytes drawn once for each run of this process. */
  sayHello(instance: Uint8Array): void {
    this.#sendNow(signalSegment('hello', Uint8Array.of(HELLO_VERSION, ...instance)));
    this.#ping();
  }

  /** Tells the peer that its identity already runs elsewhere, and ends the channel a moment later, so that this can arrive. */
  refuseSecond(instance: Uint8Array): void {
    this.#sendNow(signalSegment('hello', Uint8Array.of(RUNS_ELSEWHERE, ...instance)));
    this.#clock.setTimer(REFUSAL_LINGER_MS, () => this.close('the identity of the peer runs elsewhere'));
  }

  /** It was asked and has not answered: it may be dead. */
  get isQuiet(): boolean {
    return this.#life.isQuiet;
  }

  /** For how long nothing was heard from the peer, to a tick of the keep-alive. */
  get unheardMs(): number {
    return this.#life.unheardMs;
  }

  /** Z3 Believes nothing until the peer has answered; without a word within 1.5 s the channel ends. */
  verify(): void {
    if (!this.#isClosed) this.#life.verify();
  }

  /** Z5 Asks the peer; it is {@link isQuiet} when it does not answer within the time. */
  async confirm(withinMs: number): Promise<void> {
    if (!(await this.isAlive(withinMs))) this.#life.doubt();
  }

  /** @returns whether the peer says anything within the time, asked now. */
  isAlive(withinMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const answer = (isAlive: boolean) => {
        this.#onHeard.delete(heard);
        timer.cancel();
        resolve(isAlive);
      };
      const heard = () => answer(!this.#isClosed);
      const timer = this.#clock.setTimer(withinMs, () => answer(false));
      this.#onHeard.add(heard);
      if (this.#isClosed) heard();
      else this.#ping();
    });
  }

  /** @returns false when the queue is full or the channel ended. */
  send(frame: Uint8Array, priority: Priority): boolean {
    const lane = priority === 'control' && frame.length > LONG_BYTES ? 'bulk' : priority;
    if (this.#isClosed || !this.#queue.push(frame, lane)) return false;
    this.#life.used();
    this.#scheduleFlush();
    return true;
  }

  /**
   * Another channel to the same process carries what is sent from now on. What waits here is still sent, what arrives is still heard, and
   * both ends stop only after the other one has had time to notice.
   */
  retire(): void {
    this.#isRetired = true;
    this.#retirement = [
      this.#clock.setTimer(RETIRED_WRITES_MS, () => this.#closeWhenSent()),
      this.#clock.setTimer(RETIRED_ENDS_MS, () => this.close('its place was taken')),
    ];
  }

  #closeWhenSent(): void {
    if (this.#isClosed) return;
    this.#flush();
    this.#stream.close().catch((error: Error) => this.close(error.message));
  }

  close(reason: string): void {
    if (this.#isClosed) return;
    this.#stream.abort(new Error(reason));
    this.#end(reason);
  }

  /** Frames sent in one turn of the event loop leave together: one encryption and one write for all of them. */
  #scheduleFlush(): void {
    if (this.#isFlushing) return;
    this.#isFlushing = true;
    setImmediate(() => {
      this.#isFlushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    while (!this.#isClosed && !this.#stream.writableNeedsDrain) {
      const batch = this.#queue.takeBatch(this.#window.roomBytes);
      if (batch === undefined) break;
      this.#sendNow(batch);
    }
    if (!this.#queue.isEmpty && this.#window.isUnasked) this.#sendPing();
  }

  #sendNow(bytes: Uint8Array): void {
    if (this.#isClosed || this.#stream.writeStatus !== 'writable') return;
    try {
      this.bytesOut += bytes.length;
      this.#window.sent(bytes.length);
      this.#stream.send(bytes);
    } catch (error) {
      this.close(error instanceof Error ? error.message : String(error));
    }
  }

  #onMessage({ data }: StreamMessageEvent): void {
    if (this.#isClosed) return;
    this.#life.heard();
    const bytes = data instanceof Uint8Array ? data : data.subarray();
    this.bytesIn += bytes.length;
    try {
      this.#decoder.push(bytes);
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      this.close(error.message);
    }
  }

  #onSignal(signal: Signal, payload: Uint8Array): void {
    if (signal === 'pong') for (const heard of [...this.#onHeard]) heard();
    if (signal === 'ping') {
      this.#life.spoke();
      this.#answerPing(payload);
    }
    if (signal === 'pong') this.#onPong(payload);
    if (signal === 'hello') this.#onHello(payload);
  }

  /** Whoever does not read is owed one answer, not as many as it asked for (F2). */
  #answerPing(payload: Uint8Array): void {
    if (payload.length > PING_BYTES_LIMIT) throw new AspenError('INVALID_REQUEST', 'a ping is too long');
    if (this.#stream.writableNeedsDrain) this.#owedPong = payload;
    else this.#sendNow(signalSegment('pong', payload));
  }

  #onHello(payload: Uint8Array): void {
    if (payload.length === 1 + INSTANCE_BYTES && payload[0] === RUNS_ELSEWHERE) {
      this.#hello.reject(new RunsElsewhere(this.peerId));
      this.close('this identity runs elsewhere');
      return;
    }
    if (payload.length !== 1 + INSTANCE_BYTES || payload[0] !== HELLO_VERSION) {
      throw new AspenError('INVALID_REQUEST', 'the peer says hello in an unknown way');
    }
    this.instance = Buffer.from(payload.subarray(1)).toString('hex');
    this.#hello.resolve();
  }

  #onPong(payload: Uint8Array): void {
    if (payload.length !== 8) throw new AspenError('INVALID_REQUEST', 'a pong has 8 bytes');
    const sentMs = Buffer.from(payload).readDoubleBE();
    const nowMs = this.#clock.monotonicMs();
    const rttMs = nowMs - sentMs;
    if (!(rttMs >= 0 && rttMs < 3_600_000)) return; // not an answer to a ping of ours
    this.#life.answered(sentMs);
    this.#window.answered(sentMs, nowMs);
    if (!this.#queue.isEmpty) this.#scheduleFlush();
    this.rttMs = this.rttMs === undefined ? rttMs : this.rttMs + (rttMs - this.rttMs) * RTT_WEIGHT;
  }

  #onDead(pauseTicks: number, pauses: PauseLimits): void {
    pauses.diedAfter(this.peerId, pauseTicks);
    this.close('nothing was heard from the peer');
    this.connection.abort(new Error('nothing was heard from the peer')); // or the next dial would take it for open
  }

  #ping(): void {
    this.#life.asked();
    this.#sendPing();
  }

  #sendPing(): void {
    const nowMs = this.#clock.monotonicMs();
    const payload = Buffer.alloc(8);
    payload.writeDoubleBE(nowMs);
    this.#sendNow(signalSegment('ping', payload));
    this.#window.asked(nowMs);
  }

  #end(reason: string): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#life[Symbol.dispose]();
    for (const timer of this.#retirement) timer.cancel();
    this.#hello.reject(new Error(reason));
    for (const heard of [...this.#onHeard]) heard();
    this.#events.onClosed(reason);
  }
}

const CARRIERS: readonly (readonly [part: string, carrier: string])[] = [
  ['/quic-v1', 'quic'],
  ['/quic', 'quic'],
  ['/wss', 'websocket'],
  ['/ws', 'websocket'],
  ['/tcp/', 'tcp'],
];

/** @returns the outermost thing that a multiaddr names as carrying the bytes. */
function carrierOf(address: string): string {
  return CARRIERS.find(([part]) => `${address}/`.includes(part))?.[1] ?? 'other';
}
