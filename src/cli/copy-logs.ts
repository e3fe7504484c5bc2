import type { LogsOptions } from '../sdk/index.ts';
import type { CommandContext } from './command.ts';

/** How many bytes of each stream were shown. */
export interface Copied {
  readonly stdout: number;
  readonly stderr: number;
}

/** Copies a job's output as it comes, stdout to stdout and stderr to stderr; with `-o json` or `jsonl` one JSON line a piece. */
export async function copyLogs(
  { io, flags, connect }: CommandContext,
  id: string,
  options: LogsOptions,
): Promise<Copied> {
  const client = await connect();
  const copied = { stdout: 0, stderr: 0 };
  const isJson = flags.output === 'json' || flags.output === 'jsonl';
  for await (const { stream, offset, data } of client.logs(id, options)) {
    copied[stream] += data.length;
    if (isJson) {
      const line = { schema: 'aspen.job.logs/v1', id, stream, offset, data: data.toString('utf8') };
      io.stdout.write(`${JSON.stringify(line)}\n`);
    } else {
      io[stream].write(data);
    }
  }
  return copied;
}
