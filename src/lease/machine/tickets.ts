import { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import { textKey } from '../../storage/index.ts';
import { key32, role, ticketId, wallMs } from './member-fields.ts';
import type { ApplyContext } from './module.ts';
import type { TicketRecord } from './ticket-rules.ts';

/** Tickets kept; creating one more drops those that nobody can use any more. */
const TICKETS_LIMIT = 10_000;

export const createTicketSchema = z.object({
  id: ticketId,
  role,
  secretHash: key32,
  expiresAtMs: wallMs,
  uses: z.number().int().min(1).max(10_000),
});

export function applyCreateTicket(
  body: z.infer<typeof createTicketSchema>,
  context: ApplyContext,
): TicketRecord {
  const tickets = context.table<TicketRecord>('tickets');
  if (tickets.get(textKey(body.id)) !== undefined) {
    throw new AspenError('CONFLICT', `there is a ticket ${body.id} already`);
  }
  const all = Array.from(tickets.range({}), ([, ticket]) => ticket);
  if (all.length >= TICKETS_LIMIT) dropDead(all, context);
  const ticket: TicketRecord = { ...body, redeemedBy: [], revokedAtMs: null };
  tickets.put(textKey(body.id), ticket);
  return ticket;
}

function dropDead(all: readonly TicketRecord[], context: ApplyContext): void {
  const dead = all.filter(
    ({ revokedAtMs, expiresAtMs }) => revokedAtMs !== null || expiresAtMs < context.wallMs,
  );
  if (dead.length === 0) {
    throw new AspenError('RESOURCE_EXHAUSTED', `there are ${all.length} valid tickets, revoke some first`, {
      details: { limit: 'TICKETS_LIMIT' },
    });
  }
  for (const { id } of dead) context.table<TicketRecord>('tickets').delete(textKey(id));
}

export function applyRevokeTicket({ id }: { readonly id: string }, context: ApplyContext) {
  const tickets = context.table<TicketRecord>('tickets');
  const ticket = tickets.get(textKey(id));
  if (ticket === undefined) throw new AspenError('NOT_FOUND', `there is no ticket ${id}`);
  if (ticket.revokedAtMs === null) tickets.put(textKey(id), { ...ticket, revokedAtMs: context.wallMs });
  return { id, revoked: true };
}
