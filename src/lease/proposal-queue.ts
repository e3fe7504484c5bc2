import { AspenError } from '../base/index.ts';
import type { Machine } from './machine/index.ts';
import type { Submission } from './submission.ts';

export interface ProposalQueueOptions {
  /** Commands of one log entry. @default 1_000 */
  readonly batchCommandsLimit?: number;
  /** Bodies of one log entry; a larger single command travels alone. @default 1 MiB */
  readonly batchBytesLimit?: number;
  /** Commands that wait to be proposed. @default 100_000 */
  readonly waitingLimit?: number;
  /** Bodies of the commands that wait. @default 64 MiB */
  readonly waitingBytesLimit?: number;
}

const MiB = 2 ** 20;
/** What a command costs in a batch beside its body. Unit: bytes. */
const OVERHEAD_BYTES = 128;
const RETRY_AFTER_MS = 100;

/** What will share one log entry. */
export interface Gathered {
  readonly submissions: readonly Submission[];
  /** Machine version by which they are to be applied: the newest that was agreed on when one of them was let in. */
  readonly version: number;
}

/** Commands on their way into the log: gathered while a sync is under way, proposed together (group commit). */
export class ProposalQueue {
  readonly #options: Required<ProposalQueueOptions>;
  #waiting: { readonly submission: Submission; readonly version: number }[] = [];
  #bytes = 0;

  constructor(options: ProposalQueueOptions = {}) {
    this.#options = {
      batchCommandsLimit: options.batchCommandsLimit ?? 1_000,
      batchBytesLimit: options.batchBytesLimit ?? MiB,
      waitingLimit: options.waitingLimit ?? 100_000,
      waitingBytesLimit: options.waitingBytesLimit ?? 64 * MiB,
    };
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** Takes it in, or fails it at once when the machine would not admit it or too much waits already. @returns whether it is in. */
  add(submission: Submission, machine: Pick<Machine, 'admit'>): boolean {
    const { waitingLimit, waitingBytesLimit } = this.#options;
    if (this.#waiting.length >= waitingLimit || this.#bytes >= waitingBytesLimit) {
      submission.onFailure(tooMany(this.#waiting.length, this.#bytes));
      return false;
    }
    try {
      const version = machine.admit(submission.command, submission.given);
      this.#waiting.push({ submission, version });
      this.#bytes += submission.command.body.length + OVERHEAD_BYTES;
      return true;
    } catch (error) {
      if (!(error instanceof AspenError)) throw error;
      submission.onFailure(error);
      return false;
    }
  }

  /** @returns the oldest ones that fit one entry; at least one. */
  take(): Gathered {
    const { batchCommandsLimit, batchBytesLimit } = this.#options;
    let bytes = 0;
    let version = 1;
    let count = 0;
    for (const { submission, version: needed } of this.#waiting) {
      const size = submission.command.body.length + OVERHEAD_BYTES;
      if (count > 0 && (count >= batchCommandsLimit || bytes + size > batchBytesLimit)) break;
      bytes += size;
      count += 1;
      version = Math.max(version, needed);
    }
    this.#bytes -= bytes;
    const taken = count === this.#waiting.length ? this.#waiting : this.#waiting.slice(0, count);
    this.#waiting = count === this.#waiting.length ? [] : this.#waiting.slice(count);
    return { submissions: taken.map(({ submission }) => submission), version };
  }

  /** Puts back what could not be proposed now, in front. */
  putBack({ submissions, version }: Gathered): void {
    this.#waiting = [...submissions.map((submission) => ({ submission, version })), ...this.#waiting];
    for (const { command } of submissions) this.#bytes += command.body.length + OVERHEAD_BYTES;
  }

  failAll(error: AspenError): void {
    const failed = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const { submission } of failed) submission.onFailure(error);
  }
}

function tooMany(count: number, bytes: number): AspenError {
  return new AspenError('RESOURCE_EXHAUSTED', `${count} commands (${bytes} bytes) wait for the log already`, {
    details: { limit: 'waitingLimit', retryAfterMs: RETRY_AFTER_MS },
  });
}
