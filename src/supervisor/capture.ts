import { BoundedText } from './bounded-text.ts';
import type { OutputStream } from './runner.ts';

export interface CaptureOptions {
  /** For both streams together; what goes beyond is counted and dropped. Unit: bytes. */
  readonly maxOutputBytes: number;
  /** When false, standard error is counted and dropped. */
  readonly captureStderr: boolean;
}

export interface OutputFacts {
  readonly stdout: string;
  readonly stderr: string;
  /** Bytes written by the process, kept or not. */
  readonly stdoutBytes: number;
  readonly stderrBytes: number;
  /** Whether `stdout` or `stderr` lacks anything of what was to be captured. */
  readonly truncated: boolean;
}

/** Counts what a process writes and keeps the part of it that goes into the result: beginning and end of each stream. */
export class Capture {
  readonly #options: CaptureOptions;
  readonly #texts = { stdout: new BoundedText(), stderr: new BoundedText() };
  readonly #bytes = { stdout: 0, stderr: 0 };
  #roomBytes: number;
  #isOverLimit = false;

  constructor(options: CaptureOptions) {
    this.#options = options;
    this.#roomBytes = options.maxOutputBytes;
  }

  /** @returns the part that is within the limit. */
  add(stream: OutputStream, bytes: Uint8Array): Uint8Array {
    this.#bytes[stream] += bytes.length;
    if (stream === 'stderr' && !this.#options.captureStderr) return NOTHING;
    const kept = bytes.subarray(0, this.#roomBytes);
    this.#roomBytes -= kept.length;
    if (kept.length < bytes.length) this.#isOverLimit = true;
    if (kept.length > 0) this.#texts[stream].add(kept);
    return kept;
  }

  facts(): OutputFacts {
    const { stdout, stderr } = this.#texts;
    return {
      stdout: stdout.toString(),
      stderr: stderr.toString(),
      stdoutBytes: this.#bytes.stdout,
      stderrBytes: this.#bytes.stderr,
      truncated: this.#isOverLimit || stdout.isCut || stderr.isCut,
    };
  }
}

const NOTHING = new Uint8Array(0);
