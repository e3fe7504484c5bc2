import type { OutputStream } from '../../supervisor/index.ts';
import { BoundedText } from '../../supervisor/index.ts';
import type { OutputSink } from './executor.ts';

interface CaptureOptions {
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

/** Passes a command's output on to the sink and keeps the part of it that goes into the result. */
export class CapturedOutput {
  readonly #options: CaptureOptions;
  readonly #sink: OutputSink;
  readonly #texts = { stdout: new BoundedText(), stderr: new BoundedText() };
  readonly #bytes = { stdout: 0, stderr: 0 };
  #roomBytes: number;
  #isOverLimit = false;

  constructor(options: CaptureOptions, sink: OutputSink) {
    this.#options = options;
    this.#sink = sink;
    this.#roomBytes = options.maxOutputBytes;
  }

  add(stream: OutputStream, bytes: Uint8Array): void {
    this.#bytes[stream] += bytes.length;
    if (stream === 'stderr' && !this.#options.captureStderr) return;
    const kept = bytes.subarray(0, this.#roomBytes);
    this.#roomBytes -= kept.length;
    if (kept.length < bytes.length) this.#isOverLimit = true;
    if (kept.length === 0) return;
    this.#texts[stream].add(kept);
    this.#sink.write(stream, kept);
  }

  /** A promise while the command should write no more; undefined when it may. */
  whenRoom(): Promise<void> | undefined {
    return this.#sink.whenRoom?.();
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
