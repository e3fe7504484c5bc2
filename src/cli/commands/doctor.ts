import type { Command } from 'commander';
import type { Result } from '../../rpc/index.ts';
import { define, type ExitSlot } from '../command.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { formatTable, printable } from '../table.ts';

const EXIT_FAILED = 1;

/** `doctor`: what is missing on this node, each with the way to mend it. Ends with 1 when something does not work. */
export function addDoctorCommand(program: Command, io: CliIo, exit: ExitSlot): void {
  define(program, io, exit, {
    usage: 'doctor',
    summary: 'look at what this node needs of its machine and its mesh, and how to mend what is missing',
    examples: ['aspen-agent doctor', 'aspen-agent doctor -o json'],
    run: async ({ call }) => doctorOutput(await call('agent.doctor', {})),
  });
}

function doctorOutput({ worst, findings }: Result<'agent.doctor'>): Output {
  return {
    schema: 'aspen.agent.doctor/v1',
    value: { worst, findings },
    items: 'findings',
    ids: findings.filter(({ status }) => status !== 'ok').map(({ name }) => name),
    text: () =>
      formatTable(
        ['check', 'state', 'detail'],
        findings.map(({ name, status, detail }) => [name, status.toUpperCase(), detail]),
      ) + mendText(findings),
    exitCode: worst === 'fail' ? EXIT_FAILED : 0,
  };
}

function mendText(findings: Result<'agent.doctor'>['findings']): string {
  const mends = findings.filter(({ mend }) => mend !== null);
  if (mends.length === 0) return '';
  return `\nTo mend:\n${mends.map(({ name, mend }) => `  ${name}: ${printable(mend ?? '')}\n`).join('')}`;
}
