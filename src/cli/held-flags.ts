import type { Command } from 'commander';
import { formatDuration } from '../base/index.ts';
import type { CommandContext } from './command.ts';
import { duration, wholeNumber } from './flags.ts';
import { SAFETY_HELP } from './held/held-command.ts';
import type { Output } from './output.ts';

/** `--ttl` and `--wait` of a command that runs a program. */
export function addRunFlags(command: Command): Command {
  return command
    .option(
      '--ttl <duration>',
      'how soon others may have it when this machine is lost (default 15s)',
      duration,
    )
    .option('--wait <duration>', 'how long to queue for it; 0s takes it at once or ends with 4', duration)
    .addHelpText('after', SAFETY_HELP);
}

/** `--ttl` and `--wait` of a command that takes something and ends. */
export function addAcquireFlags(command: Command): Command {
  return command
    .option('--ttl <duration>', 'how long it lasts without a renewal (default 15s)', duration)
    .option('--wait <duration>', 'how long to queue for it (default 0s: at once or not)', duration)
    .addHelpText('after', SAFETY_HELP);
}

export function addPageFlags(command: Command): Command {
  return command
    .option('--limit <n>', 'at most so many', wholeNumber(1))
    .option('--cursor <cursor>', 'go on where an earlier page ended');
}

export function pageOf([prefix]: readonly string[], options: CommandContext['options']) {
  const { limit, cursor } = options as { readonly limit?: number; readonly cursor?: string };
  return {
    ...(prefix !== undefined && { prefix }),
    ...(limit !== undefined && { limit }),
    ...(cursor !== undefined && { cursor }),
  };
}

export interface Held {
  readonly leaseId: string;
  readonly fencingToken: number;
  readonly validMs: number;
}

export function heldOutput(schema: string, name: string, held: Held): Output {
  return {
    schema,
    value: { name, ...held },
    ids: [held.leaseId],
    text: () =>
      `${held.leaseId}  token ${held.fencingToken}, for ${formatDuration(held.validMs)} unless it is renewed\n`,
  };
}

export function prolongedOutput(
  schema: string,
  leaseId: string,
  prolonged: { readonly validMs: number },
): Output {
  return {
    schema,
    value: { leaseId, ...prolonged },
    ids: [leaseId],
    text: () => `${leaseId} for another ${formatDuration(prolonged.validMs)}\n`,
  };
}

export function endedOutput(schema: string, leaseId: string, ended: object, text: string): Output {
  return { schema, value: { leaseId, ...ended }, ids: [leaseId], text: () => `${text}\n` };
}
