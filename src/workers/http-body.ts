import type { BlobId, BlobStat, BlobStore, Blobs, Upload } from '../blobs/index.ts';
import type { HttpBody } from './http-client.ts';

/** A body as it was read. */
export interface ReadBody {
  /** Its first bytes, or all of them. */
  readonly head: Uint8Array;
  /** Bytes that were read; where `isTruncated`, there were more. */
  readonly bodyBytes: number;
  readonly isTruncated: boolean;
  /** All that was read, where it is more than `head`. */
  readonly blob: BlobStat | undefined;
}

export interface ReadLimits {
  readonly inlineBytes: number;
  readonly bodyBytes: number;
  /** The job for which a blob is kept. */
  readonly jobId: string;
}

/** Reads a body once: a short one into memory, a longer one into a blob while it comes. @throws AspenError RESOURCE_EXHAUSTED */
export async function readBody(
  pieces: AsyncIterable<Uint8Array>,
  store: Pick<BlobStore, 'begin'>,
  { inlineBytes, bodyBytes: bytesLimit, jobId }: ReadLimits,
): Promise<ReadBody> {
  let head = new Uint8Array();
  let bodyBytes = 0;
  let isTruncated = false;
  let upload: Upload | undefined;
  try {
    for await (const whole of pieces) {
      const piece = whole.subarray(0, bytesLimit - bodyBytes);
      isTruncated = piece.length < whole.length;
      bodyBytes += piece.length;
      if (upload === undefined && bodyBytes <= inlineBytes)
        head = new Uint8Array(Buffer.concat([head, piece]));
      else {
        if (upload === undefined) {
          upload = store.begin();
          await upload.write(head);
          head = new Uint8Array(Buffer.concat([head, piece]).subarray(0, inlineBytes));
        }
        await upload.write(piece);
      }
      if (isTruncated) break;
    }
    return { head, bodyBytes, isTruncated, blob: await upload?.commit({ jobId }) };
  } catch (error) {
    await upload?.abort();
    throw error;
  }
}

/** @returns how it stands in a result: as text where it is text, though perhaps cut within a character; in base64 where it is not. */
export function shownBody({
  head,
  blob,
}: Pick<ReadBody, 'head' | 'blob'>): { readonly body: string } | { readonly bodyBase64: string } {
  try {
    return { body: new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: blob !== undefined }) };
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return { bodyBase64: Buffer.from(head).toString('base64') };
  }
}

const READ_BYTES = 2 ** 20;

/** The bytes of a blob in order, from whoever has them. @throws AspenError as `Blobs.read` */
export async function* blobPieces(
  blobs: Pick<Blobs, 'read'>,
  id: BlobId,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  for (let offset = 0; ; ) {
    const { bytes, sizeBytes } = await blobs.read(id, { offset, lengthBytes: READ_BYTES, signal });
    if (bytes.length > 0) yield bytes;
    offset += bytes.length;
    if (bytes.length === 0 || offset >= sizeBytes) return;
  }
}

/** A body that may be sent more than once, as redirects ask for. */
export interface BodySource {
  open(): HttpBody;
}

export function bytesSource(bytes: Uint8Array): BodySource {
  const pieces = async function* () {
    yield bytes;
  };
  return { open: () => ({ sizeBytes: bytes.length, pieces: pieces() }) };
}
