import type { OutputChunk, OutputPage } from './output-store.ts';

/** What the record of a job has of its latest attempt's output: of each stream the text, or its beginning and end. */
export interface RecordedOutput {
  /** Stdout, then stderr: where both have something, that is not how they came. */
  readonly page: OutputPage;
  /** Of both streams; null where the result does not say. */
  readonly totalBytes: number | null;
  /** What was left out of it; null where nothing was, as far as it says. */
  readonly truncated: { readonly stdoutBytes: unknown; readonly stderrBytes: unknown } | null;
  /** It is what the attempt wrote, byte by byte. */
  readonly isExact: boolean;
}

export function recordedOutput(result: unknown): RecordedOutput {
  const fields = (typeof result === 'object' && result !== null ? result : {}) as Record<string, unknown>;
  const { stdoutBytes, stderrBytes } = fields;
  const out = bytesOf(fields['stdout']);
  const err = bytesOf(fields['stderr']);
  const isCounted = typeof stdoutBytes === 'number' && typeof stderrBytes === 'number';
  const isWhole = isCounted && out.length === stdoutBytes && err.length === stderrBytes;
  return {
    page: pageOf(out, err),
    totalBytes: isCounted ? stdoutBytes + stderrBytes : null,
    truncated: fields['truncated'] === true ? { stdoutBytes, stderrBytes } : null,
    isExact: isWhole && fields['truncated'] !== true && (out.length === 0 || err.length === 0),
  };
}

function bytesOf(text: unknown): Uint8Array {
  return new TextEncoder().encode(typeof text === 'string' ? text : '');
}

function pageOf(out: Uint8Array, err: Uint8Array): OutputPage {
  const chunks: OutputChunk[] = [
    { stream: 'stdout', offset: 0, data: out },
    { stream: 'stderr', offset: out.length, data: err },
  ];
  return { chunks, nextOffset: out.length + err.length, isEnded: true, firstOffset: 0 };
}
