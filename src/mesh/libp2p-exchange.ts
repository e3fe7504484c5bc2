import type { Stream, StreamMessageEvent } from '@libp2p/interface';
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
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const over = new AbortController();
  const fail = (error: unknown) => {
    if (over.signal.aborted) return;
    stream.abort(error instanceof Error ? error : new Error(String(error)));
    reject(error);
  };
  const onCutOff = ({ error: cause }: { readonly error?: Error }) =>
    reject(
      new AspenError('UNAVAILABLE', 'the admission exchange was cut off', { cause, outcome: 'unknown' }),
    );
  let received = Buffer.alloc(0);
  const onMessage = ({ data }: StreamMessageEvent) => {
    received = Buffer.concat([received, data instanceof Uint8Array ? data : data.subarray()]);
    if (received.length < LENGTH_BYTES) return;
    const length = received.readUInt16BE();
    if (length > ADMISSION_BYTES_LIMIT || received.length > LENGTH_BYTES + length) {
      fail(new AspenError('DENIED', 'the admission message is too long'));
    } else if (received.length === LENGTH_BYTES + length) {
      resolve(new Uint8Array(received.subarray(LENGTH_BYTES)));
    }
  };
  signal.addEventListener('abort', () => fail(signal.reason), { signal: over.signal });
  stream.addEventListener('close', onCutOff, { signal: over.signal });
  stream.addEventListener('remoteCloseWrite', () => onCutOff({}), { signal: over.signal });
  stream.addEventListener('message', onMessage, { signal: over.signal });
  return promise.finally(() => over.abort());
}
