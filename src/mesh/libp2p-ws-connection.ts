import { randomFillSync } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import type { AbortOptions, Logger, MultiaddrConnection } from '@libp2p/interface';
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils';
import type { Multiaddr } from '@multiformats/multiaddr';
import { encodeWsFrame, WsFrameReader } from './ws-frames.ts';

export interface WsConnectionOptions {
  /** Plain or TLS, after the upgrade: nothing but frames comes and goes on it. */
  readonly socket: Socket;
  readonly remoteAddress: Multiaddr;
  readonly direction: 'inbound' | 'outbound';
  readonly log: Logger;
}

/** The longest frame that leaves. Unit: bytes. */
const SENT_BYTES_LIMIT = 256 * 2 ** 10;
/** What may wait in a socket before its stream is told to wait. Unit: bytes. */
const SOCKET_BYTES_LIMIT = 256 * 2 ** 10;
const MASK_BYTES = 4;

type Bytes = Parameters<AbstractMultiaddrConnection['sendData']>[0];

/** A WebSocket as the wire of a connection: bytes in binary frames. A reader that pauses stops the socket, and with it the peer. */
class WsConnection extends AbstractMultiaddrConnection {
  readonly #socket: Socket;
  readonly #masks: Masks | undefined;

  constructor({ socket, remoteAddress, direction, log }: WsConnectionOptions) {
    super({ remoteAddr: remoteAddress, direction, log, inactivityTimeout: Number.MAX_SAFE_INTEGER });
    this.#socket = socket;
    this.#masks = direction === 'outbound' ? new Masks() : undefined;
    const reader = new WsFrameReader(direction === 'inbound', {
      data: (bytes) => this.onData(bytes),
      ping: (payload) => this.#onPing(payload),
      close: () => {
        this.#socket.destroySoon();
        this.onTransportClosed();
      },
    });
    socket.on('data', (chunk: Buffer) => this.#onChunk(reader, chunk));
    socket.on('drain', () => this.safeDispatchEvent('drain'));
    socket.on('error', (error) => this.abort(error));
    socket.once('end', () => {
      this.#socket.destroySoon();
      this.onTransportClosed();
    });
    socket.once('close', () => this.onTransportClosed());
    socket.resume(); // whoever read the head before has paused it
  }

  override sendData(data: Bytes): SendResult {
    for (let at = 0; at < data.byteLength; at += SENT_BYTES_LIMIT) {
      const part = data.sublist(at, Math.min(data.byteLength, at + SENT_BYTES_LIMIT));
      this.#socket.write(encodeWsFrame('binary', [...part], this.#masks?.next()));
    }
    // Above its own mark, which is lower, the socket says when it is empty.
    return { sentBytes: data.byteLength, canSendMore: this.#socket.writableLength < SOCKET_BYTES_LIMIT };
  }

  override async sendClose({ signal }: AbortOptions = {}): Promise<void> {
    if (this.#socket.destroyed) return;
    const closed = once(this.#socket, 'close', signal === undefined ? {} : { signal });
    this.#socket.write(encodeWsFrame('close', [], this.#masks?.next()));
    this.#socket.destroySoon();
    await closed;
  }

  override sendReset(): void {
    this.#socket.destroy();
  }

  override sendPause(): void {
    this.#socket.pause();
  }

  override sendResume(): void {
    this.#socket.resume();
  }

  #onChunk(reader: WsFrameReader, chunk: Buffer): void {
    try {
      reader.push(chunk);
    } catch (error) {
      this.abort(error instanceof Error ? error : new Error(String(error)));
    }
  }

  /** F2 Whoever does not read is owed nothing. */
  #onPing(payload: Uint8Array): void {
    if (this.#socket.writableNeedDrain) return;
    this.#socket.write(encodeWsFrame('pong', [payload], this.#masks?.next()));
  }
}

/** Nobody on the way may foresee them (RFC 6455, section 10.3). */
class Masks {
  readonly #pool = Buffer.alloc(MASK_BYTES * 256);
  #at = this.#pool.length;

  next(): Uint8Array {
    if (this.#at >= this.#pool.length) {
      randomFillSync(this.#pool);
      this.#at = 0;
    }
    this.#at += MASK_BYTES;
    return this.#pool.subarray(this.#at - MASK_BYTES, this.#at);
  }
}

export function webSocketConnection(options: WsConnectionOptions): MultiaddrConnection {
  return new WsConnection(options);
}
