import { createConnection, type Socket } from 'node:net';
import { until } from './until.ts';

/** A client with bad manners: it writes whatever bytes it likes and keeps what comes back. */
export class RawSocket implements Disposable {
  readonly #socket: Socket;
  #received = '';
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('utf8');
    socket.on('data', (text) => {
      this.#received += text;
    });
    socket.on('error', () => this.#close()); // being thrown out is what some of these tests are about
    socket.on('close', () => this.#close());
  }

  static async connect(path: string): Promise<RawSocket> {
    const socket = createConnection({ path });
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    return new RawSocket(socket);
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Answers so far, parsed. */
  get answers(): { id?: unknown; result?: unknown; error?: { code: number; data?: { code?: string } } }[] {
    const lines = this.#received.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }

  write(bytes: string | Uint8Array): void {
    if (!this.#isClosed) this.#socket.write(bytes);
  }

  /** Writes one piece after the other as long as nobody answers or closes. */
  async writeUntilAnswered(pieces: Iterable<string | Uint8Array>): Promise<void> {
    for (const piece of pieces) {
      if (this.#isClosed || this.#received !== '') return;
      await new Promise<void>((resolve) => this.#socket.write(piece, () => resolve()));
    }
  }

  /** Waits for so many answers. */
  async answered(count: number): Promise<RawSocket['answers']> {
    await until(() => this.answers.length >= count, { what: `${count} answers on the socket`, everyMs: 20 });
    return this.answers;
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }

  #close(): void {
    this.#isClosed = true;
  }
}
