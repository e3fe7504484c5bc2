import type { Command } from 'commander';
import { formatDuration } from '../../base/index.ts';
import type { GroupRecovery, GroupReport } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { wrongUsage } from '../failure.ts';
import { findPeerId } from '../find.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatFields, formatTable } from '../table.ts';

/** `group status|transfer|recover`. */
export function addGroupCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const group = program.command('group').description('the voters that agree for the mesh');
  define(group, io, exit, {
    usage: 'status',
    summary: 'who votes and who stands by, why, how far each is, and what is not well',
    examples: ['aspen-agent group status', 'aspen-agent group status -o json'],
    run: async ({ call }) => reportOutput(await call('group.status', {})),
  });
  define(group, io, exit, {
    usage: 'transfer [peer]',
    summary: 'hand the leadership to another voter (the best one where none is named)',
    examples: ['aspen-agent group transfer', 'aspen-agent group transfer laptop-2'],
    run: transfer,
  });
  define(group, io, exit, {
    usage: 'recover',
    summary: 'the way out when a majority of the voters is lost for good: go on from one survivor',
    examples: [
      'aspen-agent group recover',
      'aspen-agent group recover --dry-run',
      'aspen-agent group recover --yes',
    ],
    configure: (command) =>
      command
        .option('--dry-run', 'only tell what would be done, and what may be lost')
        .option('--on <peer>', 'the survivor to go on with (the one that knows most where absent)')
        .option('--force', 'also on a survivor that knows less than another')
        .option('--yes', 'do not ask'),
    run: (context) => recover(context, io),
  });
}

function reportOutput(report: GroupReport): Output {
  const { members, health } = report;
  const quorum = report.hasQuorum ? 'has quorum' : 'NO QUORUM';
  return {
    schema: 'aspen.group.status/v1',
    value: report,
    ids: members.map(({ peerId }) => peerId),
    text: (isWide) =>
      [
        formatFields([
          ['group', `${quorum}, term ${report.term}, epoch ${report.epoch}`],
          ['leader', report.leader ?? 'none'],
          ['log', `last ${report.lastIndex}, committed ${report.commitIndex}`],
          ['disks', report.diskCount === null ? 'not known without a leader' : `${report.diskCount}`],
        ]),
        '\n',
        formatTable(
          ['name', 'peer id', 'role', 'lag', 'contact', ...(isWide ? ['match'] : []), 'why'],
          members.map((member) => [
            member.name ?? '-',
            member.peerId,
            member.isLeader ? 'leader' : member.role,
            member.lag === null ? '-' : `${member.lag}`,
            contactOf(member.lastContactMs),
            ...(isWide ? [member.matchIndex === null ? '-' : `${member.matchIndex}`] : []),
            member.reason,
          ]),
        ),
        '\n',
        ...health.map(({ level, text, mend }) =>
          mend === undefined ? `${level}: ${text}\n` : `${level}: ${text}\n  to mend it: ${mend}\n`,
        ),
      ].join(''),
  };
}

function contactOf(lastContactMs: number | null): string {
  if (lastContactMs === null) return '-';
  return lastContactMs === 0 ? 'now' : `${formatDuration(lastContactMs)} ago`;
}

async function transfer(context: CommandContext): Promise<Output> {
  const name = context.args[0];
  const to = name === undefined ? {} : { to: await findPeerId(context, name) };
  const transferred = await context.call('group.transfer', to);
  return {
    schema: 'aspen.group.transfer/v1',
    value: transferred,
    ids: [transferred.leader],
    text: () => `${transferred.leader} leads the group now\n`,
  };
}

async function recover(context: CommandContext, io: CliIo): Promise<Output> {
  const { options, call } = context;
  const on = options['on'] as string | undefined;
  const choice = {
    ...(on === undefined ? {} : { on: await findPeerId(context, on) }),
    ...(options['force'] === true ? { force: true } : {}),
  };
  const plan = await call('group.recover', { ...choice, dryRun: true });
  if (options['dryRun'] === true) return recoveryOutput(plan);
  if (options['yes'] !== true) await confirm(plan, io);
  return recoveryOutput(await call('group.recover', { ...choice, on: plan.on }));
}

/** @throws AspenError INVALID_PARAMS unless a person answers yes. */
async function confirm(plan: GroupRecovery, io: CliIo): Promise<void> {
  io.stderr.write(`${planText(plan)}\nThis cannot be undone. Go on? Write yes: `);
  let answer = '';
  for await (const piece of io.stdin) {
    answer += String(piece);
    if (answer.includes('\n')) break;
  }
  if (answer.trim().toLowerCase() === 'yes') return;
  throw wrongUsage('not confirmed, nothing was changed; a script confirms with --yes');
}

function planText({ on, epoch, survivors, missing, mayBeLost }: GroupRecovery): string {
  return [
    formatTable(
      ['survivor', 'peer id', 'role', 'last entry', 'epoch', ''],
      survivors.map((survivor) => [
        survivor.name ?? '-',
        survivor.peerId,
        survivor.role,
        `${survivor.lastIndex}`,
        `${survivor.epoch}`,
        survivor.peerId === on ? 'goes on' : survivor.isBest ? 'knows most' : '',
      ]),
    ),
    ...missing.map((peer) => `missing: ${peer}\n`),
    ...mayBeLost.map((loss) => `may be lost: ${loss}\n`),
    `epoch ${epoch} begins on ${on}; a missing machine that comes back gives up its copy and gets the new one\n`,
  ].join('');
}

function recoveryOutput(recovery: GroupRecovery): Output {
  const { isDone, on, epoch } = recovery;
  const end = isDone
    ? `${on} leads the group in epoch ${epoch} now; to see how it grows again: aspen-agent group status\n`
    : 'nothing was changed; to do it: aspen-agent group recover\n';
  return {
    schema: 'aspen.group.recover/v1',
    value: recovery,
    ids: [on],
    text: () => `${planText(recovery)}${end}`,
  };
}
