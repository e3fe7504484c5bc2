import type { Command } from 'commander';
import { whenAborted } from '../../base/index.ts';
import type { Result } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { showPiece } from '../piece.ts';
import { formatTable, printable } from '../table.ts';
import { whileWatching } from '../watching.ts';

type AuditRecord = Result<'audit.tail'>['records'][number];

/** Pause between two looks of `-f`. Unit: ms. */
const FOLLOW_EVERY_MS = 500;
const FOLLOW_PAGE = 1_000;

/** `audit tail|verify`. */
export function addAuditCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const audit = program.command('audit').description('what was done on this node');
  define(audit, io, exit, {
    usage: 'tail',
    summary: 'the latest lines of the audit log, oldest first',
    examples: ['aspen-agent audit tail -n 50', 'aspen-agent audit tail -f -o jsonl'],
    configure: (command) =>
      command
        .option('-n, --lines <n>', 'how many (default 20, at most 1000)', wholeNumber(1, FOLLOW_PAGE))
        .option('-f, --follow', 'go on with what comes, until interrupted'),
    run: tail,
  });
  define(audit, io, exit, {
    usage: 'verify',
    summary: 'check that no line was changed, moved or removed; exit code 1 names the first that was',
    examples: ['aspen-agent audit verify'],
    run: async ({ call }) => verifyOutput(await call('audit.verify', {})),
  });
}

async function tail(context: CommandContext): Promise<Output | number> {
  const { options, call } = context;
  const limit = (options['lines'] as number | undefined) ?? 20;
  const page = await call('audit.tail', { limit });
  if (options['follow'] !== true) return tailOutput(page);
  return whileWatching(context, 'the audit log', (signal) => follow(context, page.records, signal));
}

async function follow(
  context: CommandContext,
  first: readonly AuditRecord[],
  signal: AbortSignal,
): Promise<void> {
  let records = first;
  let afterSeq = 0;
  while (!signal.aborted) {
    for (const record of records) {
      const text = printable(lineOf(record).join('  '));
      await showPiece(context, 'aspen.audit.tail/v1', { value: record, id: `${record.seq}`, text });
    }
    afterSeq = records.at(-1)?.seq ?? afterSeq;
    if (records.length < FOLLOW_PAGE)
      await Promise.race([
        new Promise((resolve) => setTimeout(resolve, FOLLOW_EVERY_MS)),
        whenAborted(signal),
      ]);
    if (!signal.aborted) ({ records } = await context.call('audit.tail', { limit: FOLLOW_PAGE, afterSeq }));
  }
}

function tailOutput(page: Result<'audit.tail'>): Output {
  return {
    schema: 'aspen.audit.tail/v1',
    value: page,
    items: 'records',
    ids: page.records.map(({ seq }) => `${seq}`),
    text: () => formatTable(['line', 'at', 'what', 'facts'], page.records.map(lineOf)),
  };
}

function lineOf({ seq, at, kind, ...facts }: AuditRecord): string[] {
  const told = Object.entries(facts).map(([name, value]) => `${name}=${shown(value)}`);
  return [`${seq}`, at, kind, told.join(' ')];
}

function shown(value: unknown): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}

function verifyOutput(verified: Result<'audit.verify'>): Output {
  const { ok, lineCount, fileCount, lastSeq, lastHash, break: found } = verified;
  const text =
    found === null
      ? `${lineCount} lines in ${fileCount} files hold together, up to line ${lastSeq} with hash ${lastHash}\n`
      : `the audit log is broken in ${found.file}, line ${found.line} (number ${found.seq}): ${found.reason}\n`;
  return {
    schema: 'aspen.audit.verify/v1',
    value: verified,
    ids: [lastHash],
    text: () => text,
    exitCode: ok ? 0 : 1,
  };
}
