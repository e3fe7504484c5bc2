import { attemptOfOffset, spanStart } from '../base/index.ts';
import type { LogsOptions } from '../sdk/index.ts';
import type { CommandContext } from './command.ts';
import { yamlDocument } from './piece.ts';

/** A character that is not whole yet waits for its other bytes, up to three in each stream, while the other stream goes on. */
const HELD_BACK_BYTES = 6;

/** How many bytes of each stream of the latest attempt were shown, and where the last of them ended in the output of the job. */
export interface Copied {
  attempt: number;
  stdout: number;
  stderr: number;
  end: number;
}

export const NOTHING_COPIED: Readonly<Copied> = { attempt: 1, stdout: 0, stderr: 0, end: 0 };

export interface CopyProgress {
  /** Counts on while it goes on, also where it ends early. */
  readonly copied?: Copied;
  /** Called before the output of a later attempt is shown. */
  readonly beforeAttempt?: () => Promise<void>;
}

/**
 * Copies a job's output as it comes, stdout to stdout and stderr to stderr; with `-o json` or `jsonl` one JSON line a piece, with `-o yaml` one document.
 *
 * Output that nobody keeps any more is told of on stderr, also with `--quiet`: what was copied is not the whole then. How much is missing of an
 * attempt that another followed, nobody can say; that the other's output begins is told.
 */
export async function copyLogs(
  { io, flags, connect, tell }: CommandContext,
  id: string,
  options: LogsOptions,
  { copied = { ...NOTHING_COPIED }, beforeAttempt }: CopyProgress = {},
): Promise<void> {
  const client = await connect();
  let losses = new Losses(options.fromOffset ?? 0);
  copied.attempt = attemptOfOffset(options.fromOffset ?? 0);
  const tellLoss = (lostBytes: number) => {
    if (lostBytes > 0)
      io.stderr.write(`aspen-agent: ${lostBytes} bytes of the output of ${id} are lost here\n`);
  };
  const isParted = flags.isForPrograms && flags.output !== 'id';
  for await (const { attempt, stream, offset, data } of client.logs(id, options)) {
    if (attempt !== copied.attempt) {
      tellLoss(losses.take(0));
      losses = new Losses(spanStart(attempt));
      Object.assign(copied, NOTHING_COPIED, { attempt });
      await beforeAttempt?.();
      tell(`aspen-agent: the output of attempt ${attempt} of ${id} begins`);
    }
    losses.count(offset, data.length);
    tellLoss(losses.take(HELD_BACK_BYTES));
    copied[stream] += data.length;
    copied.end = Math.max(copied.end, offset + data.length);
    if (isParted) {
      const line = { schema: 'aspen.job.logs/v1', id, attempt, stream, offset, data: data.toString('utf8') };
      io.stdout.write(flags.output === 'yaml' ? await yamlDocument(line) : `${JSON.stringify(line)}\n`);
    } else {
      io[stream].write(data);
    }
  }
  tellLoss(losses.take(0));
}

/** Of one attempt. Both streams share one space of offsets: bytes between the last one and those that came are missing. */
class Losses {
  readonly #from: number;
  #end: number;
  #received = 0;
  #told = 0;

  constructor(fromOffset: number) {
    this.#from = fromOffset;
    this.#end = fromOffset;
  }

  count(offset: number, byteCount: number): void {
    this.#received += byteCount;
    this.#end = Math.max(this.#end, offset + byteCount);
  }

  /** @returns how many bytes are missing that were not told of, or 0 where they are so few that they may still come. */
  take(mayStillCome: number): number {
    const missing = this.#end - this.#from - this.#received - this.#told;
    if (missing <= mayStillCome) return 0;
    this.#told += missing;
    return missing;
  }
}
