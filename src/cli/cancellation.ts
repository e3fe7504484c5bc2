import { AspenError, mapAtMost } from '../base/index.ts';
import type { Job } from '../rpc/index.ts';
import type { AspenClient } from '../sdk/index.ts';
import type { CommandContext } from './command.ts';
import type { Interrupt } from './io.ts';
import { exitCodeOfJob, exitCodeOfSignal } from './job-exit.ts';

/** Requests under way at one time. */
const CANCELS_AT_ONCE = 32;

const REASONS: Readonly<Record<Interrupt, string>> = {
  SIGINT: 'interrupted at the terminal',
  SIGTERM: 'the command that ran it was ended',
  SIGHUP: 'the terminal was closed',
};

/**
 * Cancels the jobs that a command stays with where a program of this machine would end: on Ctrl-C or a request to end, when the terminal is
 * closed, and when nobody reads its output any more. The command goes on to their end. Who interrupts a second time leaves them alone and ends
 * at once; a terminal that is closed says so twice by itself, through the shell and to the group in front.
 */
export class Cancellation implements Disposable {
  readonly #context: CommandContext;
  readonly #ids: readonly string[];
  readonly #what: string;
  readonly #parts: readonly (Disposable | undefined)[];
  #signal: Interrupt | undefined;
  #interruptCount = 0;

  constructor(context: CommandContext, ids: readonly string[]) {
    this.#context = context;
    this.#ids = ids;
    this.#what = ids.length === 1 ? (ids[0] as string) : `${ids.length} jobs`;
    this.#parts = [
      context.io.onInterrupt((signal) => this.#onInterrupt(signal)),
      context.io.onOutputLost?.((reason) => this.#cancel(reason, `: ${reason}`)),
    ];
  }

  [Symbol.dispose](): void {
    for (const part of this.#parts) part?.[Symbol.dispose]();
  }

  /** @returns the code of a job that ended; 128 and the number of the signal where that is why it was cancelled. */
  exitCodeOf(job: Job): number {
    const isOurs = job.state === 'cancelled' && this.#signal !== undefined;
    return isOurs ? exitCodeOfSignal(this.#signal as Interrupt) : exitCodeOfJob(job);
  }

  #onInterrupt(signal: Interrupt): void {
    const isFirst = this.#signal === undefined;
    this.#signal ??= signal;
    if (signal === 'SIGHUP') {
      if (isFirst) this.#cancel(REASONS[signal], `: ${REASONS[signal]}`);
      return;
    }
    this.#interruptCount += 1;
    if (this.#interruptCount > 1) this.#context.io.exitNow(exitCodeOfSignal(signal));
    else this.#cancel(REASONS[signal], `; once more to leave ${this.#ids.length === 1 ? 'it' : 'them'}`);
  }

  #cancel(reason: string, note: string): void {
    const { io, connect } = this.#context;
    io.stderr.write(`${note.startsWith(';') ? '\n' : ''}aspen-agent: cancelling ${this.#what}${note}\n`);
    connect()
      .then((client) => this.#cancelAll(client, reason))
      .catch((error: Error) =>
        io.stderr.write(`aspen-agent: cannot cancel ${this.#what}: ${error.message}\n`),
      );
  }

  /** @throws what was said of the first that could not be cancelled, after all were tried. What has ended by itself is as good. */
  async #cancelAll(client: AspenClient, reason: string): Promise<void> {
    const failures = await mapAtMost(CANCELS_AT_ONCE, this.#ids, async (id) => {
      try {
        await client.cancel(id, reason);
        return undefined;
      } catch (error) {
        if (error instanceof AspenError && error.code === 'CONFLICT') return undefined;
        return error;
      }
    });
    const first = failures.find((failure) => failure !== undefined);
    if (first !== undefined) throw first;
  }
}
