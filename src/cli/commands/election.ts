import type { Command } from 'commander';
import { AspenError, formatDuration } from '../../base/index.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { DEFAULT_TTL_MS, runUnderLease, whileWaiting } from '../held/held-command.ts';
import {
  addAcquireFlags,
  addPageFlags,
  addRunFlags,
  endedOutput,
  heldOutput,
  pageOf,
  prolongedOutput,
} from '../held-flags.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { showPiece } from '../piece.ts';
import { resourcesOutput } from '../resource-output.ts';
import { formatFields, printable } from '../table.ts';
import { whileWatching } from '../watching.ts';

/** `election run|campaign|renew|proclaim|resign|leader|observe|list`. */
export function addElectionCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const election = program.command('election').description('one leader among programs that could all lead');
  define(election, io, exit, {
    usage: 'run <name> <program...>',
    summary: 'wait to be elected, and run a program as long as it leads',
    examples: ['aspen-agent election run web --value 10.0.0.1:80 -- ./serve.sh'],
    configure: (command) =>
      void addRunFlags(command.option('--value <text>', 'what the leader wants the others to know')),
    run: runElected,
  });
  define(election, io, exit, {
    usage: 'campaign <name> <value>',
    summary: 'become leader, and print the lease that it lasts for',
    examples: ['aspen-agent election campaign web 10.0.0.1:80 --ttl 30s --wait 10m'],
    configure: (command) => void addAcquireFlags(command),
    run: campaign,
  });
  define(election, io, exit, {
    usage: 'renew <name> <lease>',
    summary: 'go on leading; exit code 4 when somebody else may lead',
    examples: ['aspen-agent election renew web lse_01k9z3...'],
    run: async ({ args: [name = '', leaseId = ''], call }) =>
      prolongedOutput('aspen.election.renew/v1', leaseId, await call('election.renew', { name, leaseId })),
  });
  define(election, io, exit, {
    usage: 'proclaim <name> <lease> <value>',
    summary: 'change what the leader wants the others to know',
    examples: ['aspen-agent election proclaim web lse_01k9z3... 10.0.0.1:81'],
    run: async ({ args: [name = '', leaseId = '', value = ''], call }) => {
      const proclaimed = await call('election.proclaim', { name, leaseId, value });
      return endedOutput(
        'aspen.election.proclaim/v1',
        leaseId,
        proclaimed,
        `${name} is proclaimed: ${value}`,
      );
    },
  });
  define(election, io, exit, {
    usage: 'resign <name> <lease>',
    summary: 'stop leading: the next in line leads',
    examples: ['aspen-agent election resign web lse_01k9z3...'],
    run: async ({ args: [name = '', leaseId = ''], call }) => {
      const resigned = await call('election.resign', { name, leaseId });
      return endedOutput('aspen.election.resign/v1', leaseId, resigned, `${name} is resigned from`);
    },
  });
  define(election, io, exit, {
    usage: 'leader <name>',
    summary: 'print what the leader proclaims; exit code 3 when nobody leads',
    examples: ['aspen-agent election leader web', 'aspen-agent election leader web -o json'],
    run: showLeader,
  });
  define(election, io, exit, {
    usage: 'observe <name>',
    summary: 'print what the leader proclaims, now and after each change, until interrupted',
    examples: ['aspen-agent election observe web', 'aspen-agent election observe web -o jsonl'],
    run: observe,
  });
  define(election, io, exit, {
    usage: 'list [prefix]',
    summary: 'elections that somebody leads or stands for',
    examples: ['aspen-agent election list'],
    configure: (command) => void addPageFlags(command),
    run: async (context) => {
      const page = await context.call('election.list', pageOf(context.args, context.options));
      return resourcesOutput(context, 'aspen.election.list/v1', page);
    },
  });
}

async function campaign(context: CommandContext): Promise<Output> {
  const { args, options, flags, call } = context;
  const [name = '', value = ''] = args;
  const ttlMs = (options['ttl'] as number | undefined) ?? DEFAULT_TTL_MS;
  const waitMs = (options['wait'] as number | undefined) ?? 0;
  const held = await call('election.campaign', { name, value, ttlMs, waitMs }, whileWaiting(flags, waitMs));
  return heldOutput('aspen.election.campaign/v1', name, held);
}

function runElected(context: CommandContext): Promise<number> {
  const { args, options, call, connect } = context;
  const [name = '', ...program] = args;
  const value = (options['value'] as string | undefined) ?? '';
  return runUnderLease(
    context,
    {
      what: `the lead in "${name}"`,
      name,
      acquire: (times, how) => call('election.campaign', { name, value, ...times }, how),
      renew: async (leaseId, how) => (await connect()).call('election.renew', { name, leaseId }, how),
      release: async (leaseId, how) => (await connect()).call('election.resign', { name, leaseId }, how),
    },
    program,
  );
}

async function observe(context: CommandContext): Promise<number> {
  const { args, connect } = context;
  const [name = ''] = args;
  const client = await connect();
  return whileWatching(context, `election ${name}`, async (signal) => {
    for await (const change of client.observeElection(name, signal)) {
      const text = printable(change.leader?.value ?? '(nobody leads)');
      await showPiece(context, 'aspen.election.observe/v1', {
        value: change,
        id: change.leader?.leaseId ?? '',
        text,
      });
    }
  });
}

async function showLeader({ args: [name = ''], call }: CommandContext): Promise<Output> {
  const { leader, candidateCount } = await call('election.leader', { name });
  if (leader === null) throw new AspenError('NOT_FOUND', `nobody leads in "${name}"`);
  return {
    schema: 'aspen.election.leader/v1',
    value: { name, leader, candidateCount },
    ids: [leader.leaseId],
    text: (isWide) =>
      isWide
        ? formatFields([
            ['value', leader.value],
            ['lease', leader.leaseId],
            ['token', `${leader.fencingToken}`],
            ['node', leader.owner],
            ['ends in', formatDuration(leader.remainingMs)],
            ['candidates', `${candidateCount}`],
          ])
        : `${leader.value}\n`,
  };
}
