import { createHash } from 'node:crypto';
import { Readable, type Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import * as zlib from 'node:zlib';
import { AspenError, mayGoUnheard } from '../base/index.ts';
import type { Algorithm, Codecs, Format } from './codecs.ts';

/** node:zlib and node:crypto. */
export class OsCodecs implements Codecs {
  readonly formats: readonly Format[] = 'createZstdCompress' in zlib ? ['gzip', 'zstd'] : ['gzip'];

  compress(format: Format, pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return through(pieces, format === 'gzip' ? zlib.createGzip() : zlib.createZstdCompress());
  }

  decompress(format: Format, pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
    return through(pieces, format === 'gzip' ? zlib.createGunzip() : zlib.createZstdDecompress());
  }

  async checksum(algorithm: Algorithm, pieces: AsyncIterable<Uint8Array>): Promise<string> {
    const hash = createHash(algorithm);
    for await (const piece of pieces) hash.update(piece);
    return hash.digest('hex');
  }
}

/** Whoever stops reading stops the reading of what comes in. */
async function* through(
  pieces: AsyncIterable<Uint8Array>,
  transform: Transform,
): AsyncGenerator<Uint8Array, void, undefined> {
  const fed = mayGoUnheard(pipeline(Readable.from(pieces, { objectMode: true }), transform));
  try {
    for await (const piece of transform) yield piece as Uint8Array;
    await fed;
  } catch (error) {
    throw told(error);
  } finally {
    transform.destroy();
  }
}

function told(error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  const isMalformed = typeof code === 'string' && (code.startsWith('Z_') || code.startsWith('ZSTD_'));
  return isMalformed
    ? new AspenError('INVALID_PARAMS', `the bytes are not of that format: ${message}`, { cause: error })
    : error;
}
