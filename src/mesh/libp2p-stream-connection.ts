import type { AbortOptions, MultiaddrConnection, Stream } from '@libp2p/interface';
import { AbstractMultiaddrConnection, type SendResult } from '@libp2p/utils';
import { multiaddr } from '@multiformats/multiaddr';

/** A stream through a relay as the wire of a connection of its own, which is encrypted from end to end on top of it. */
class StreamConnection extends AbstractMultiaddrConnection {
  readonly #stream: Stream;

  constructor(stream: Stream, remoteAddress: string, direction: 'inbound' | 'outbound') {
    super({
      remoteAddr: multiaddr(remoteAddress),
      direction,
      log: stream.log.newScope('circuit'),
      inactivityTimeout: Number.MAX_SAFE_INTEGER,
    });
    this.#stream = stream;
    stream.addEventListener('message', ({ data }) => this.onData(data));
    stream.addEventListener('drain', () => this.safeDispatchEvent('drain'));
    stream.addEventListener('close', ({ error }) => this.onTransportClosed(error));
    stream.addEventListener('remoteCloseWrite', () => {
      this.onRemoteCloseWrite();
      this.close().catch((error: Error) => this.abort(error));
    });
  }

  override sendData(bytes: Parameters<AbstractMultiaddrConnection['sendData']>[0]): SendResult {
    const sentBytes = bytes.byteLength;
    return { sentBytes, canSendMore: this.#stream.send(bytes) };
  }

  override async sendClose(options?: AbortOptions): Promise<void> {
    await this.#stream.close(options);
  }

  override sendReset(): void {
    this.#stream.abort(new Error('the circuit was reset'));
  }

  override sendPause(): void {
    this.#stream.pause();
  }

  override sendResume(): void {
    this.#stream.resume();
  }
}

/** @param remoteAddress a multiaddr that ends with the peer id of the other end. */
export function streamAsConnection(
  stream: Stream,
  {
    remoteAddress,
    direction,
  }: { readonly remoteAddress: string; readonly direction: 'inbound' | 'outbound' },
): MultiaddrConnection {
  return new StreamConnection(stream, remoteAddress, direction);
}
