import type { Command } from 'commander';
import { ERROR_KINDS } from '../../base/index.ts';
import type { ParamsInput, Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import type { CliIo } from '../io.ts';
import { parseJson } from '../json-text.ts';
import type { Output } from '../output.ts';
import { readTextFrom } from '../spec-flags.ts';
import { printable } from '../table.ts';

type Txn = Omit<ParamsInput<'kv.txn'>, 'requestId'>;

/** `kv txn [file]`. */
export function addTxnCommand(kv: Command, io: CliIo, exit: ExitSlot): void {
  define(kv, io, exit, {
    usage: 'txn [file]',
    summary:
      'read JSON {compare, success, failure} from a file or standard input, and do success if all compares hold, else failure, as one change; exit code 4 when they do not hold and there is no failure to do',
    examples: [
      'aspen-agent kv txn move.json',
      'echo \'{"compare":[{"key":"a","version":0}],"success":[{"op":"put","key":"a","value":"1"}]}\' | aspen-agent kv txn',
    ],
    run: runTxn,
  });
}

async function runTxn(context: CommandContext): Promise<Output> {
  const [file = '-'] = context.args;
  const txn = parseTxn(await readTextFrom(context, file), file);
  const result = await context.call('kv.txn', txn);
  const isRefused = !result.succeeded && (txn.failure ?? []).length === 0;
  return {
    schema: 'aspen.kv.txn/v1',
    value: result,
    ids: [],
    text: () => textOf(result),
    ...(isRefused && { exitCode: ERROR_KINDS.CONFLICT.exitCode }),
  };
}

/** The agent checks the rest, and names what is wrong by its path. */
function parseTxn(text: string, file: string): Txn {
  const source = file === '-' ? 'standard input' : file;
  const value = parseJson(text, source);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Txn;
  throw wrongUsage(`${source} does not hold an object {compare, success, failure}`);
}

function textOf({ succeeded, responses, revision }: Result<'kv.txn'>): string {
  const lines = responses.map((response) => printable(JSON.stringify(response)));
  return [`${succeeded ? 'success' : 'failure'} at revision ${revision}`, ...lines, ''].join('\n');
}
