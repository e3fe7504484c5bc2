import { z } from 'zod';
import { AspenError, type PeerId } from '../../base/index.ts';
import { textKey } from '../../storage/index.ts';
import { parseWith } from './checks.ts';
import type { ApplyContext, MachineModule } from './module.ts';

/** A node's standing promise to work for the group. At most one per node. */
export interface Session {
  readonly peerId: PeerId;
  readonly incarnation: string;
  readonly sessionId: string;
  /** Group time. */
  readonly openedAtMs: number;
}

const peerId = z.string().min(1).max(100);
const sessionId = z.string().min(1).max(100);
const openSchema = z.object({ peerId, incarnation: z.string().min(1).max(100), sessionId });
const closeSchema = z.object({ peerId, sessionId, reason: z.string().max(200) });

/**
 * Who holds a session.
 *
 * - N1 A node has one session; a new one ends the old one in the same command.
 * - N2 A closed session id never comes back: ids are drawn anew for every `open`.
 */
export const sessionsModule: MachineModule = {
  name: 'sessions',
  tables: ['sessions'],
  commands: {
    open: { since: 1, isLeadersOnly: true, parse: parseWith(openSchema), apply: applyOpen },
    close: { since: 1, isLeadersOnly: true, parse: parseWith(closeSchema), apply: applyClose },
  },
  queries: {
    list: {
      parse: () => null,
      run: (_body, { table }) => Array.from(table<Session>('sessions').range({}), ([, session]) => session),
    },
  },
};

function applyOpen(body: z.infer<typeof openSchema>, context: ApplyContext): Session {
  const table = context.table<Session>('sessions');
  const previous = table.get(textKey(body.peerId));
  if (previous?.sessionId === body.sessionId) return previous;
  if (previous !== undefined) emitClosed(context, previous, 'replaced'); // N1
  const session: Session = { ...body, peerId: body.peerId as PeerId, openedAtMs: context.groupMs };
  table.put(textKey(body.peerId), session);
  context.emit({ type: 'opened', peerId: session.peerId, sessionId: session.sessionId });
  return session;
}

function applyClose(
  { peerId, sessionId, reason }: z.infer<typeof closeSchema>,
  context: ApplyContext,
): { closed: true } {
  const table = context.table<Session>('sessions');
  const session = table.get(textKey(peerId));
  if (session?.sessionId !== sessionId) {
    throw new AspenError('NOT_FOUND', `${peerId} holds no session ${sessionId}`);
  }
  table.delete(textKey(peerId));
  emitClosed(context, session, reason);
  return { closed: true };
}

function emitClosed(context: ApplyContext, { peerId, sessionId }: Session, reason: string): void {
  context.emit({ type: 'closed', peerId, sessionId, reason });
}
