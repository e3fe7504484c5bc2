import { createConnection, type Socket } from 'node:net';

/** How strangers come in numbers. */
export type FloodKind =
  /** Connects and says nothing. */
  | 'half-open'
  /** Begins the negotiation as libp2p does, a byte now and then. */
  | 'slow'
  /** Sends what means nothing, as fast as it is taken. */
  | 'babble'
  /** Negotiates the encryption as libp2p does, then sends what means nothing. */
  | 'false-handshake'
  /** Begins the handshake as whoever has a key does, so that it is answered, and goes on with what means nothing. */
  | 'well-begun'
  /** Asks for one protocol after the other that nobody speaks. */
  | 'many-protocols'
  /** Asks for a WebSocket, a byte now and then. */
  | 'slow-request'
  /** Gets a WebSocket and says nothing on it. */
  | 'silent-web-socket';

export interface FloodOptions {
  readonly host: string;
  readonly port: number;
  readonly kind: FloodKind;
  /** Connections that are kept open at once; one that is closed is replaced. */
  readonly connections: number;
  /** Addresses to come from, in turn, e.g. of 127.0.0.0/8. @default the machine's own choice */
  readonly from?: readonly string[];
  /** Most connections that are begun in a second. @default 2_000 */
  readonly perSecond?: number;
}

const DEFAULT_PER_SECOND = 2_000;
const TURN_MS = 20;
const SLOW_BYTE_MS = 700;
/** What multistream-select says first, behind its length. */
const GREETING = Buffer.from('\x13/multistream/1.0.0\n', 'latin1');
const NOISE = Buffer.from('\x07/noise\n', 'latin1');
const PROTOCOL = Buffer.from('\x03/a\n', 'latin1');
/** The first message of a handshake is a key, which any 32 bytes are; the third one is two encrypted parts. Unit: bytes. */
const FIRST_MESSAGE_BYTES = 32;
const THIRD_MESSAGE_BYTES = 250;
const REQUEST = Buffer.from(
  'GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n' +
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
);
const BABBLE_BYTES = 16 * 1_024;

/** Strangers in numbers, from the moment it is made until it is disposed. */
export class Flood implements AsyncDisposable {
  readonly #options: FloodOptions;
  readonly #open = new Set<Socket>();
  readonly #turns: NodeJS.Timeout;
  readonly #bytes = Buffer.alloc(BABBLE_BYTES);
  #begunCount = 0;
  #receivedBytes = 0;
  #seed = 1;

  constructor(options: FloodOptions) {
    this.#options = options;
    for (let at = 0; at < BABBLE_BYTES; at += 1) this.#bytes[at] = this.#next();
    this.#turns = setInterval(() => this.#turn(), TURN_MS);
  }

  /** Connections begun so far. */
  get begunCount(): number {
    return this.#begunCount;
  }

  get openCount(): number {
    return this.#open.size;
  }

  /** What strangers were told, in all. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#turns);
    for (const socket of this.#open) socket.destroy();
    while (this.#open.size > 0) await new Promise((resolve) => setTimeout(resolve, TURN_MS));
  }

  #turn(): void {
    const { connections, perSecond = DEFAULT_PER_SECOND } = this.#options;
    const count = Math.min(connections - this.#open.size, Math.ceil((perSecond * TURN_MS) / 1_000));
    for (let at = 0; at < count; at += 1) this.#begin();
  }

  #begin(): void {
    const { host, port, kind, from } = this.#options;
    const localAddress = from?.[this.#begunCount % from.length];
    this.#begunCount += 1;
    const socket = createConnection({ host, port, ...(localAddress !== undefined && { localAddress }) });
    this.#open.add(socket);
    let slow: NodeJS.Timeout | undefined;
    socket.on('connect', () => {
      slow = this.#speak(socket, kind);
    });
    socket.on('data', (chunk) => {
      this.#receivedBytes += chunk.length;
    });
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      clearInterval(slow);
      this.#open.delete(socket);
    });
  }

  #speak(socket: Socket, kind: FloodKind): NodeJS.Timeout | undefined {
    if (kind === 'babble') this.#babble(socket);
    if (kind === 'false-handshake') {
      socket.write(Buffer.concat([GREETING, NOISE]));
      this.#babble(socket);
    }
    if (kind === 'well-begun') this.#beginWell(socket);
    if (kind === 'many-protocols') {
      socket.write(GREETING);
      this.#repeat(socket, Buffer.concat(Array<Buffer>(100).fill(PROTOCOL)));
    }
    if (kind === 'silent-web-socket') socket.write(REQUEST);
    if (kind !== 'slow' && kind !== 'slow-request') return undefined;
    const words = kind === 'slow' ? GREETING : REQUEST;
    let at = 0;
    return setInterval(() => {
      socket.write(words.subarray(at % words.length, (at % words.length) + 1));
      at += 1;
    }, SLOW_BYTE_MS);
  }

  #beginWell(socket: Socket): void {
    socket.write(Buffer.concat([GREETING, NOISE, this.#message(FIRST_MESSAGE_BYTES)]));
    const negotiatedBytes = GREETING.length + NOISE.length;
    let heardBytes = 0;
    const onData = (chunk: Buffer) => {
      heardBytes += chunk.length;
      if (heardBytes <= negotiatedBytes) return;
      socket.off('data', onData);
      socket.write(this.#message(THIRD_MESSAGE_BYTES));
    };
    socket.on('data', onData);
  }

  /** Its length and so many bytes. */
  #message(bytes: number): Buffer {
    const message = Buffer.alloc(2 + bytes);
    message.writeUInt16BE(bytes);
    this.#bytes.copy(message, 2, this.#next() * 16);
    return message;
  }

  /** Goes on as fast as it is read. */
  #babble(socket: Socket): void {
    this.#repeat(socket, this.#bytes.subarray(this.#next() * 16));
  }

  #repeat(socket: Socket, bytes: Buffer): void {
    if (!socket.destroyed) socket.write(bytes, () => setImmediate(() => this.#repeat(socket, bytes)));
  }

  #next(): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return this.#seed >>> 24;
  }
}

/** @returns `count` addresses of loopback that no agent listens on, as many sources as a flood would like to be. */
export function loopbackAddresses(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `127.77.${Math.floor(at / 250)}.${(at % 250) + 1}`);
}
