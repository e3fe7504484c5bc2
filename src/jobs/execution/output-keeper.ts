import { KEPT_EACH_BYTES, type OutputFacts, type OutputStream } from '../../supervisor/index.ts';
import type { OutputSource } from './executor.ts';
import type { AttemptName } from './output-store.ts';

/** The blobs that have all of a stream of which a record has only the beginning and the end. */
export interface WholeOutput {
  readonly stdoutBlob?: string;
  readonly stderrBlob?: string;
}

/**
 * Keeps output that is longer than a record takes.
 *
 * - O5 A blob named by a result has all that was captured of the stream, in order, and is durable before the result is told.
 * - O6 An attempt never fails, and no other outcome changes, because its output could not be kept.
 */
export interface OutputKeeper {
  /** @param streams those to keep. @returns the blobs of those that were kept. Rejects for faults of the agent itself only. */
  keep(
    name: AttemptName,
    source: Pick<OutputSource, 'readOutput'>,
    streams: readonly OutputStream[],
  ): Promise<WholeOutput>;
}

/** What of one stream a record has at most. Unit: bytes. */
export const RECORDED_BYTES = 2 * KEPT_EACH_BYTES;

/** @returns the streams of which the record may lack something that was captured. */
export function cutStreams({ stdoutBytes, stderrBytes, truncated }: OutputFacts): readonly OutputStream[] {
  if (!truncated) return [];
  const streams: OutputStream[] = [];
  if (stdoutBytes > RECORDED_BYTES) streams.push('stdout');
  if (stderrBytes > RECORDED_BYTES) streams.push('stderr');
  return streams;
}
