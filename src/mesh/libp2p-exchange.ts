import type { Stream } from '@libp2p/interface';
import { AspenError } from '../base/index.ts';
import { ADMISSION_BYTES_LIMIT } from './transport.ts';

const LENGTH_BYTES = 2;

/** Sends one message, at most {@link ADMISSION_BYTES_LIMIT} bytes, behind its length in two bytes. */
export function writeExchange(stream: Stream, message: Uint8Array): void {
  if (message.length > ADMISSION_BYTES_LIMIT) {
    throw new AspenError('INVALID_PARAMS', `an admission message of ${message.length} bytes is too long`);
  }
  const bytes = new Uint8Array(LENGTH_BYTES + message.length);
  bytes.set([message.length >>> 8, message.length & 0xff]);
  bytes.set(message, LENGTH_BYTES);
  stream.send(bytes);
}

/** @returns the one message that the peer sends. @throws AspenError UNAVAILABLE when the stream ends before, DENIED when it is too long. */
export function readExchange(stream: Stream, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const fail = (error: unknown) => {
      stream.abort(error instanceof Error ? error : new Error(String(error)));
      reject(error);
    };
    signal.addEventListener('abort', () => fail(signal.reason), { once: true });
    stream.addEventListener('close', ({ error }) =>
      reject(new AspenError('UNAVAILABLE', 'the admission exchange was cut off', { cause: error })),
    );
    stream.addEventListener('remoteCloseWrite', () =>
      reject(new AspenError('UNAVAILABLE', 'the admission exchange ended early')),
    );
    stream.addEventListener('message', ({ data }) => {
      received = Buffer.concat([received, data instanceof Uint8Array ? data : data.subarray()]);
      if (received.length < LENGTH_BYTES) return;
      const length = received.readUInt16BE();
      if (length > ADMISSION_BYTES_LIMIT || received.length > LENGTH_BYTES + length) {
        fail(new AspenError('DENIED', 'the admission message is too long'));
      } else if (received.length === LENGTH_BYTES + length) {
        resolve(new Uint8Array(received.subarray(LENGTH_BYTES)));
      }
    });
  });
}
