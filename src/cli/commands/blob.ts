import type { Command } from 'commander';
import { formatDuration, mayGoUnheard } from '../../base/index.ts';
import type { Result } from '../../rpc/index.ts';
import { piecesOf } from '../blob-files.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { type ByteSink, fileSink, standardOutput } from '../file-sink.ts';
import { findBlobId } from '../find-blob.ts';
import { wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatFields, formatTable, formatWhen } from '../table.ts';

type Stat = Result<'blob.add'>;

/** Unit: bytes. */
const PIECE_BYTES = 2 ** 20;
/** Pieces on their way at a time. */
const PIECES_UNDER_WAY = 4;
/** Progress is told once for so much more. Unit: bytes. */
const PROGRESS_STEP_BYTES = 64 * 2 ** 20;
/** One piece may have to come from another node first. Unit: ms. */
const PIECE_TIMEOUT_MS = 120_000;

/** `blob add|get|stat|list|pin|unpin|rm`. */
export function addBlobCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const blob = program
    .command('blob')
    .description('files named by their content, kept on nodes and fetched from any');
  define(blob, io, exit, {
    usage: 'add <file>',
    summary: 'keep a file ("-" is standard input) on this node and print its id, the one IPFS gives it too',
    examples: [
      'aspen-agent blob add model.bin',
      'tar c results | aspen-agent blob add - --name results.tar -o id',
    ],
    configure: (command) =>
      command
        .option('--name <name>', 'what people call it; the name of the file unless told')
        .option('--no-pin', 'let it go when nothing needs it and it was not used for an hour'),
    run: addBlob,
  });
  define(blob, io, exit, {
    usage: 'get <id> [file]',
    summary: 'write a blob to a file or standard output, fetching from other nodes what is not here',
    examples: ['aspen-agent blob get bafybei... model.bin', 'aspen-agent blob get last | tar t'],
    configure: (command) => command.option('--force', 'replace the file'),
    run: getBlob,
  });
  define(blob, io, exit, {
    usage: 'stat <id>',
    summary: 'what is known of a blob, and which nodes have it',
    examples: ['aspen-agent blob stat bafybei...', 'aspen-agent blob stat last -o json'],
    configure: (command) => command.option('--local', 'ask no other node'),
    run: statBlob,
  });
  define(blob, io, exit, {
    usage: 'list',
    summary: 'the blobs on this node',
    examples: ['aspen-agent blob list', 'aspen-agent blob list --limit 10 -o jsonl'],
    configure: (command) =>
      command
        .option('--limit <n>', 'at most so many', wholeNumber(1))
        .option('--cursor <cursor>', 'go on where an earlier page ended'),
    run: listBlobs,
  });
  define(blob, io, exit, {
    usage: 'pin <id>',
    summary: 'keep a blob on this node until it is unpinned, fetching it where it is not here',
    examples: ['aspen-agent blob pin bafybei...'],
    run: async (context) => pinOutput('pin', await pinBlob(context, 'blob.pin')),
  });
  define(blob, io, exit, {
    usage: 'unpin <id>',
    summary: 'let a blob go when nothing else needs it and it was not used for an hour',
    examples: ['aspen-agent blob unpin bafybei...'],
    run: async (context) => pinOutput('unpin', await pinBlob(context, 'blob.unpin')),
  });
  define(blob, io, exit, {
    usage: 'rm <id>',
    summary: 'remove a blob, pinned or not, from this node at once; other nodes keep theirs',
    examples: ['aspen-agent blob rm bafybei...', 'aspen-agent blob rm last --force'],
    configure: (command) => command.option('--force', 'also where a job on record needs it'),
    run: removeBlob,
  });
}

async function addBlob(context: CommandContext): Promise<Output> {
  const { args, options, call } = context;
  const [file = ''] = args;
  const given = options['name'] as string | undefined;
  const name = given ?? (file === '-' ? undefined : baseName(file));
  const { upload } = await call('blob.begin', {});
  const progress = teller(context, 'added');
  const underWay: Promise<unknown>[] = [];
  let offset = 0;
  for await (const piece of piecesOf(context, file, PIECE_BYTES)) {
    const data = Buffer.from(piece.buffer, piece.byteOffset, piece.length).toString('base64');
    underWay.push(mayGoUnheard(call('blob.write', { upload, offset, data })));
    offset += piece.length;
    if (underWay.length >= PIECES_UNDER_WAY) await underWay.shift();
    progress(offset);
  }
  await Promise.all(underWay);
  const pin = options['pin'] !== false;
  const stat = await call('blob.commit', { upload, pin, ...(name !== undefined && { name }) });
  return { schema: 'aspen.blob.add/v1', value: stat, ids: [stat.id], text: () => `${stat.id}\n` };
}

async function getBlob(context: CommandContext): Promise<Output | number> {
  const [name = '', file = '-'] = context.args;
  if (file === '-' && context.io.stdout.isTTY)
    throw wrongUsage('a blob is not for a terminal: give a file, or pipe it into something');
  const id = await findBlobId(context, name);
  const first = await readPiece(context, id, 0); // before a file is begun: it may be nowhere
  const sink =
    file === '-'
      ? standardOutput(context)
      : await fileSink(file, {
          isForced: context.options['force'] === true,
          wayOut: 'add --force to replace it, or choose another name',
        });
  try {
    await copyBlob(context, { id, first, sink });
    await sink.commit();
  } catch (error) {
    await sink.abandon();
    throw error;
  }
  if (file === '-') return 0;
  const value = { id, file, sizeBytes: first.sizeBytes };
  return { schema: 'aspen.blob.get/v1', value, ids: [id], text: () => `${file}\n` };
}

type Piece = Result<'blob.get'>;

function readPiece({ call }: CommandContext, id: string, offset: number): Promise<Piece> {
  return call('blob.get', { id, offset, lengthBytes: PIECE_BYTES }, { timeoutMs: PIECE_TIMEOUT_MS });
}

/** Several pieces are on their way while one is written. */
async function copyBlob(
  context: CommandContext,
  { id, first, sink }: { readonly id: string; readonly first: Piece; readonly sink: ByteSink },
): Promise<void> {
  const { sizeBytes } = first;
  const progress = teller(context, 'got', sizeBytes);
  const underWay: Promise<Piece>[] = [];
  let asked = PIECE_BYTES;
  for (let piece: Piece | undefined = first; piece !== undefined; piece = await underWay.shift()) {
    while (underWay.length < PIECES_UNDER_WAY && asked < sizeBytes) {
      underWay.push(mayGoUnheard(readPiece(context, id, asked)));
      asked += PIECE_BYTES;
    }
    const bytes = Buffer.from(piece.data, 'base64');
    await sink.write(bytes);
    progress(piece.offset + bytes.length);
  }
}

async function statBlob(context: CommandContext): Promise<Output> {
  const [name = ''] = context.args;
  const id = await findBlobId(context, name);
  const known = await context.call('blob.stat', { id, local: context.options['local'] === true });
  const { local, holders, suspects } = known;
  return {
    schema: 'aspen.blob.stat/v1',
    value: known,
    ids: [id],
    text: () =>
      formatFields([
        ['id', id],
        ['size', local === null ? undefined : sizeText(local.sizeBytes)],
        ['here', local === null ? 'no' : hereText(local)],
        ['pinned', local?.isPinned === true ? 'yes' : 'no'],
        ['name', local?.name ?? undefined],
        ['jobs', local === null || local.jobs.length === 0 ? undefined : local.jobs.join(', ')],
        ['holders', holders.length === 0 ? 'none that could be asked' : holders.join(', ')],
        ...suspects.map((one): [string, string] => ['suspect', suspectText(one)]),
      ]),
  };
}

async function listBlobs({ options, call, tell }: CommandContext): Promise<Output> {
  const { limit, cursor } = options as { readonly limit?: number; readonly cursor?: string };
  const page = await call('blob.list', {
    ...(limit !== undefined && { limit }),
    ...(cursor !== undefined && { cursor }),
  });
  if (page.cursor !== undefined) tell(`there is more; go on with --cursor ${page.cursor}`);
  tell(`${sizeText(page.usedBytes)} of ${sizeText(page.quotaBytes)} in use`);
  const nowMs = Date.now();
  return {
    schema: 'aspen.blob.list/v1',
    value: page,
    items: 'blobs',
    ids: page.blobs.map(({ id }) => id),
    text: (isWide) =>
      formatTable(
        ['id', 'size', 'here', 'pinned', 'name', ...(isWide ? ['origin', 'jobs', 'used'] : [])],
        page.blobs.map((stat) => [
          stat.id,
          sizeText(stat.sizeBytes),
          hereText(stat),
          stat.isPinned ? 'yes' : 'no',
          stat.name ?? '-',
          ...(isWide
            ? [stat.origin, `${stat.jobs.length}`, formatWhen(stat.usedAtMs, nowMs, formatDuration)]
            : []),
        ]),
      ),
  };
}

async function pinBlob(context: CommandContext, method: 'blob.pin' | 'blob.unpin'): Promise<Stat> {
  const [name = ''] = context.args;
  const id = await findBlobId(context, name);
  return context.call(method, { id });
}

async function removeBlob(context: CommandContext): Promise<Output> {
  const [name = ''] = context.args;
  const id = await findBlobId(context, name);
  const value = await context.call('blob.remove', { id, force: context.options['force'] === true });
  return {
    schema: 'aspen.blob.rm/v1',
    value,
    ids: [id],
    text: () => `removed ${id} (${sizeText(value.freedBytes)})\n`,
  };
}

function pinOutput(verb: 'pin' | 'unpin', stat: Stat): Output {
  return {
    schema: `aspen.blob.${verb}/v1`,
    value: stat,
    ids: [stat.id],
    text: () => `${verb}ned ${stat.id}\n`,
  };
}

function teller(context: CommandContext, what: string, ofBytes?: number): (bytes: number) => void {
  let next = PROGRESS_STEP_BYTES;
  return (bytes) => {
    if (bytes < next) return;
    next = bytes + PROGRESS_STEP_BYTES;
    context.tell(`${what} ${sizeText(bytes)}${ofBytes === undefined ? '' : ` of ${sizeText(ofBytes)}`}`);
  };
}

function suspectText({ peerId, lies, stalls, isAvoided }: Result<'blob.stat'>['suspects'][number]): string {
  return `${peerId} lied ${lies} times, was silent ${stalls} times${isAvoided ? ', is avoided now' : ''}`;
}

function hereText({ heldBytes, sizeBytes, isComplete }: Stat): string {
  return isComplete ? 'all' : `${Math.floor((heldBytes / Math.max(1, sizeBytes)) * 100)}%`;
}

function baseName(path: string): string {
  return (path.split(/[\\/]/).at(-1) ?? path).slice(-255);
}

function sizeText(bytes: number): string {
  if (bytes < 2 ** 10) return `${bytes} B`;
  const [unit, divisor] =
    bytes < 2 ** 20 ? ['KiB', 2 ** 10] : bytes < 2 ** 30 ? ['MiB', 2 ** 20] : ['GiB', 2 ** 30];
  return `${(bytes / (divisor as number)).toFixed(1)} ${unit}`;
}
