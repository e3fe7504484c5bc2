import type { Socket } from 'node:net';
import type { LineDuplex } from './line-duplex.ts';

/** How long a closing connection goes on reading what the other side still sends, so that it gets to read our last words. */
const LINGER_MS = 1_000;

/** How often one that said its last word, and waits for answers, is asked whether it is still there. Unit: ms. */
const PROBE_MS = 500;

/** Text of one turn above which writers are told to wait: it is more than the socket buffers, so it will tell when it has gone out. */
const TURN_LENGTH = 2 ** 20;

/** Text that does not wait for the end of its turn: who reads it works on it meanwhile, and need not be given all of it at the end, to give all back at once. */
const PIECE_LENGTH = 2 ** 14;

/** A Unix socket (or named pipe). What is written in one turn of the event loop goes out in one system call, or in pieces of {@link PIECE_LENGTH}. */
export class OsLineDuplex implements LineDuplex {
  readonly #socket: Socket;
  #pending = '';
  #isClosing = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('error', () => socket.destroy()); // 'close' follows, and is what the owner hears
    socket.once('end', () => this.#probe());
  }

  get bufferedBytes(): number {
    return this.#socket.writableLength + this.#pending.length;
  }

  write(text: string): boolean {
    if (this.#isClosing || this.#socket.destroyed) return false;
    if (this.#pending === '') queueMicrotask(() => process.nextTick(() => this.#flush()));
    this.#pending += text;
    if (this.#pending.length >= PIECE_LENGTH) this.#flush();
    return !this.#socket.writableNeedDrain && this.#pending.length < TURN_LENGTH;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    if (this.#isClosing) return;
    this.#flush();
    this.#isClosing = true;
    this.#socket.end();
    this.#socket.resume();
    const linger = setTimeout(() => this.#socket.destroy(), LINGER_MS).unref();
    this.#socket.once('end', () => this.#socket.destroySoon());
    this.#socket.once('close', () => clearTimeout(linger));
    if (this.#socket.readableEnded) this.#socket.destroySoon();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  onData(callback: (chunk: Buffer) => void): void {
    this.#socket.on('data', callback);
  }

  onDrain(callback: () => void): void {
    this.#socket.on('drain', callback);
  }

  onEnd(callback: () => void): void {
    this.#socket.on('end', callback);
  }

  onClose(callback: () => void): void {
    this.#socket.on('close', () => callback());
  }

  /**
   * The end of what the other side says looks the same whether it listens on (`printf ... | nc -U`) or is gone. Only writing tells: a
   * space before the next line means nothing to whoever is there, and ends the connection where nobody is.
   */
  #probe(): void {
    const probing = setInterval(() => {
      if (!this.#isClosing && this.#pending === '' && this.#socket.writableLength === 0)
        this.#socket.write(' ');
    }, PROBE_MS).unref();
    this.#socket.once('close', () => clearInterval(probing));
  }

  #flush(): void {
    if (this.#pending === '' || this.#socket.destroyed) return;
    const text = this.#pending;
    this.#pending = '';
    this.#socket.write(text);
  }
}
