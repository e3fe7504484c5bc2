import type { Command } from 'commander';
import { formatDuration } from '../../base/index.ts';
import type { GroupReport } from '../../rpc/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { findPeerId } from '../find.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatFields, formatTable } from '../table.ts';

/** `group status|transfer`. */
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
