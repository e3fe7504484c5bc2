export const FORMATS = ['gzip', 'zstd'] as const;
export type Format = (typeof FORMATS)[number];
export const ALGORITHMS = ['sha256', 'sha512', 'sha1', 'md5'] as const;
export type Algorithm = (typeof ALGORITHMS)[number];

/** Compresses and sums up bytes as they come. */
export interface Codecs {
  /** What this machine can. */
  readonly formats: readonly Format[];
  compress(format: Format, pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** @throws AspenError INVALID_PARAMS (while it is read) where the bytes are not of that format. */
  decompress(format: Format, pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array>;
  /** @returns the sum as hexadecimal digits. */
  checksum(algorithm: Algorithm, pieces: AsyncIterable<Uint8Array>): Promise<string>;
}
