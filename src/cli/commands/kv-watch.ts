import type { Command } from 'commander';
import type { KvEvent } from '../../sdk/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';
import { showPiece } from '../piece.ts';
import { printable } from '../table.ts';
import { whileWatching } from '../watching.ts';

/** `kv watch <key>`. */
export function addWatchCommand(kv: Command, io: CliIo, exit: ExitSlot): void {
  define(kv, io, exit, {
    usage: 'watch [key]',
    summary:
      'print the changes of a key, or of all with a prefix, each once and in order, until interrupted or for --timeout',
    examples: [
      'aspen-agent kv watch color',
      'aspen-agent kv watch --prefix config/ -o jsonl',
      'aspen-agent kv watch color --timeout 30s',
      'aspen-agent kv watch --prefix --from-revision 1099511627780 -o jsonl',
    ],
    configure: (command) =>
      command
        .option(
          '--prefix [prefix]',
          'all keys that begin with it, or with KEY; all keys where neither is given',
        )
        .option('--from-revision <n>', 'begin with the changes of this revision', wholeNumber(0)),
    run: watchKeys,
  });
}

async function watchKeys(context: CommandContext): Promise<number> {
  const { args, options, connect } = context;
  const filter = filterOf(args[0], options['prefix'] as string | true | undefined);
  const fromRevision = options['fromRevision'] as number | undefined;
  const client = await connect();
  return whileWatching(context, filter.key ?? `${filter.prefix}...`, async (signal) => {
    const watch = client.kv.watch(filter, { signal, ...(fromRevision !== undefined && { fromRevision }) });
    for await (const event of watch) {
      const text = printable(lineOf(event));
      await showPiece(context, 'aspen.kv.watch/v1', { value: event, id: event.key, text });
    }
  });
}

function filterOf(
  key: string | undefined,
  prefix: string | true | undefined,
):
  | { readonly key: string; readonly prefix?: undefined }
  | { readonly key?: undefined; readonly prefix: string } {
  if (prefix === undefined) {
    if (key === undefined) throw wrongUsage('give the KEY to watch, or --prefix');
    return { key };
  }
  if (prefix === true) return { prefix: key ?? '' };
  if (key !== undefined) throw wrongUsage('give KEY or a prefix, not both');
  return { prefix };
}

function lineOf({ type, key, value }: KvEvent): string {
  return type === 'put' ? `put ${key} ${value}` : `delete ${key}`;
}
