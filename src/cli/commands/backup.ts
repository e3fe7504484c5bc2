import type { Command } from 'commander';
import { AspenError } from '../../base/index.ts';
import type { Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { type ByteSink, fileSink, standardOutput } from '../file-sink.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';

/** Progress is told once for so much more. Unit: bytes. */
const PROGRESS_STEP_BYTES = 16 * 2 ** 20;

type Header = Result<'backup.begin'>['header'];

/** `backup` and `restore`. */
export function addBackupCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'backup <file>',
    summary: 'write what the mesh has agreed on to a file ("-" is standard output), while everything runs',
    examples: ['aspen-agent backup mesh.backup', 'aspen-agent backup - | gzip > mesh.backup.gz'],
    configure: (command) =>
      command.option('--allow-stale', "take this node's copy as it is, also without a quorum"),
    run: takeBackup,
  });
  define(program, io, exit, {
    usage: 'restore <file>',
    summary:
      'begin a new mesh in an empty data directory with everything of a backup but members and tickets',
    examples: [
      'aspen-agent restore mesh.backup --data-dir ~/restored --dry-run',
      'aspen-agent restore mesh.backup --data-dir ~/restored && aspen-agent up --data-dir ~/restored',
    ],
    configure: (command) => command.option('--dry-run', 'check the backup and say what is in it'),
    run: restoreBackup,
  });
}

async function takeBackup(context: CommandContext): Promise<Output | number> {
  const [file = ''] = context.args;
  if (file === '-' && context.io.stdout.isTTY)
    throw wrongUsage('a backup is not for a terminal: give a file, or pipe "-" into something');
  const wayOut = 'move it away or choose another name';
  const sink = file === '-' ? standardOutput(context) : await fileSink(file, { wayOut });
  try {
    return await backUp(context, file, sink);
  } catch (error) {
    await sink.abandon();
    throw error;
  }
}

async function backUp(context: CommandContext, file: string, sink: ByteSink): Promise<Output | number> {
  const { id, header } = await context.call('backup.begin', {
    allowStale: context.options['allowStale'] === true,
  });
  let bytes = 0;
  try {
    const progress = teller(context, 'backed up');
    for (;;) {
      const { data } = await context.call('backup.read', { id });
      if (data === null) break;
      const piece = Buffer.from(data, 'base64');
      await sink.write(piece);
      bytes += piece.length;
      progress(bytes);
    }
    await sink.commit();
  } catch (error) {
    await letGo(context, id);
    throw error;
  }
  context.tell(
    `${sizeText(bytes)} of mesh ${header.meshId} up to index ${header.index} (epoch ${header.epoch})`,
  );
  if (file === '-') return 0;
  return {
    schema: 'aspen.backup.create/v1',
    value: { file, bytes, ...header },
    ids: [file],
    text: () => `${file}\n`,
  };
}

/** What made the backup fail is told by the caller. An agent that is gone has let go of it, and one that is not does so after a minute. */
async function letGo({ call, tell }: CommandContext, id: string): Promise<void> {
  try {
    await call('backup.end', { id });
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    if (error.code !== 'UNAVAILABLE')
      tell(`the agent was not told that the backup is given up: ${error.message}`);
  }
}

async function restoreBackup(context: CommandContext): Promise<Output> {
  const { io, flags, options, args } = context;
  const [file = ''] = args;
  const isDryRun = options['dryRun'] === true;
  const tellers = { check: teller(context, 'checked'), write: teller(context, 'restored') };
  const restored = await io.restoreBackup({
    file,
    dataDir: flags.dataDir,
    isDryRun,
    onProgress: ({ phase, bytes }) => tellers[phase](bytes),
  });
  const { header, recordCount, bytes, epoch } = restored;
  const what = `${recordCount} records (${sizeText(bytes)}) of mesh ${header.meshId}, ${contentsOf(header)}`;
  context.tell(isDryRun ? `the backup is whole: ${what}` : `restored ${what}`);
  context.tell(
    isDryRun
      ? `restoring it into ${flags.dataDir} would begin a new mesh at epoch ${epoch}, with that node as its only voter`
      : `next: aspen-agent up --data-dir ${flags.dataDir}, then aspen-agent ticket create, since every other node joins anew`,
  );
  return {
    schema: 'aspen.backup.restore/v1',
    value: { ...restored, isDryRun, dataDir: flags.dataDir },
    ids: restored.meshId === null ? [] : [restored.meshId],
    text: () => `${isDryRun ? header.meshId : restored.meshId}\n`,
  };
}

function contentsOf({ index, epoch, takenAtMs }: Pick<Header, 'index' | 'epoch' | 'takenAtMs'>): string {
  return `up to index ${index}, epoch ${epoch}, taken ${new Date(takenAtMs).toISOString()}`;
}

function teller(context: CommandContext, what: string): (bytes: number) => void {
  let next = PROGRESS_STEP_BYTES;
  return (bytes) => {
    if (bytes < next) return;
    next = bytes + PROGRESS_STEP_BYTES;
    context.tell(`${what} ${sizeText(bytes)}`);
  };
}

function sizeText(bytes: number): string {
  return bytes < 2 ** 20 ? `${Math.ceil(bytes / 2 ** 10)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
}
