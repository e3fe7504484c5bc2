import { type Command, Option } from 'commander';
import { formatDuration } from '../../base/index.ts';
import type { Result } from '../../rpc/index.ts';
import { define, type ExitSlot } from '../command.ts';
import { findTicketId } from '../find.ts';
import { duration, wholeNumber } from '../flags.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { readTextFrom } from '../spec-flags.ts';
import { formatFields, formatTable, formatWhen } from '../table.ts';

const ROLES = ['voter', 'worker', 'submitter', 'observer'] as const;
type Role = (typeof ROLES)[number];

/** `ticket create|list|inspect|revoke`. */
export function addTicketCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const ticket = program.command('ticket').description('invitations to this mesh');
  define(ticket, io, exit, {
    usage: 'create',
    summary: 'create an invitation; the ticket goes to standard output',
    examples: ['aspen-agent ticket create --uses 2 --ttl 1h', 'aspen-agent ticket create --role worker'],
    configure: (command) =>
      command
        .addOption(new Option('--role <role>', 'what the joiner may be').choices(ROLES))
        .option('--ttl <duration>', 'how long it is valid', duration)
        .option('--uses <n>', 'how many nodes may join with it', wholeNumber(1)),
    run: async ({ call, options, tell, flags }) => {
      const created = await call('mesh.ticket', {
        ...(options['role'] === undefined ? {} : { role: options['role'] as Role }),
        ...(options['ttl'] === undefined ? {} : { ttlMs: options['ttl'] as number }),
        ...(options['uses'] === undefined ? {} : { uses: options['uses'] as number }),
      });
      if (!flags.isForPrograms) tell(`${created.id}, join with: aspen-agent join <ticket>`);
      return {
        schema: 'aspen.ticket.create/v1',
        value: created,
        ids: [created.id],
        text: () => `${created.ticket}\n`,
      };
    },
  });
  define(ticket, io, exit, {
    usage: 'list',
    summary: 'invitations the group knows',
    examples: ['aspen-agent ticket list'],
    run: async ({ call }) => ticketsOutput(await call('mesh.tickets', {})),
  });
  define(ticket, io, exit, {
    usage: 'inspect <ticket>',
    summary: 'what a ticket says ("-" reads it from standard input)',
    examples: ['aspen-agent ticket inspect aspen1...'],
    run: async (context) => {
      const text = await ticketArgument(context, context.args[0] as string);
      return inspectOutput(await context.call('mesh.ticketInspect', { ticket: text }));
    },
  });
  define(ticket, io, exit, {
    usage: 'revoke <id>',
    summary: 'make a ticket worthless; members it admitted stay',
    examples: ['aspen-agent ticket revoke last'],
    run: async (context) => {
      const revoked = await context.call('mesh.ticketRevoke', {
        id: await findTicketId(context, context.args[0] as string),
      });
      return {
        schema: 'aspen.ticket.revoke/v1',
        value: revoked,
        ids: [revoked.id],
        text: () => `${revoked.id} revoked\n`,
      };
    },
  });
}

/** @param text the ticket, or `-`. */
export async function ticketArgument(
  context: Parameters<typeof readTextFrom>[0],
  text: string,
): Promise<string> {
  return (text === '-' ? await readTextFrom(context, '-') : text).trim();
}

function ticketsOutput({ tickets }: Result<'mesh.tickets'>): Output {
  return {
    schema: 'aspen.ticket.list/v1',
    value: { tickets },
    items: 'tickets',
    ids: tickets.map(({ id }) => id),
    text: () =>
      formatTable(
        ['id', 'role', 'used', 'expires', 'state'],
        tickets.map((ticket) => [
          ticket.id,
          ticket.role,
          `${usedOf(ticket)} of ${ticket.uses}`,
          formatWhen(ticket.expiresAt, Date.now(), formatDuration),
          stateOf(ticket),
        ]),
      ),
  };
}

type ListedTicket = Result<'mesh.tickets'>['tickets'][number];

function usedOf({ redeemedBy }: ListedTicket): number {
  return Array.isArray(redeemedBy) ? redeemedBy.length : 0;
}

function stateOf(ticket: ListedTicket): string {
  if (ticket['revokedAt'] !== null && ticket['revokedAt'] !== undefined) return 'revoked';
  if (ticket.expiresAt < Date.now()) return 'expired';
  return usedOf(ticket) >= ticket.uses ? 'used up' : 'open';
}

function inspectOutput(ticket: Result<'mesh.ticketInspect'>): Output {
  return {
    schema: 'aspen.ticket.inspect/v1',
    value: ticket,
    ids: [ticket.id],
    text: () =>
      formatFields([
        ['id', ticket.id],
        ['mesh', ticket.meshId],
        ['role', ticket.role],
        ['uses', `${ticket.uses}`],
        ['expires', formatWhen(ticket.expiresAt, Date.now(), formatDuration)],
        ...ticket.members.map(
          ({ peerId, addresses }) => ['member', `${peerId}  ${addresses.join(' ')}`] as const,
        ),
      ]),
  };
}
