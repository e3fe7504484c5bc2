import { AspenError, formatDuration, type PeerId } from '../../base/index.ts';
import type { Role } from '../../mesh/index.ts';

/** What the group keeps of a ticket; never its secret. */
export interface TicketRecord {
  readonly id: string;
  readonly role: Role;
  /** SHA-256 of the secret, 32 bytes. */
  readonly secretHash: Uint8Array;
  /** Wall time. */
  readonly expiresAtMs: number;
  readonly uses: number;
  /** Who came in by it, in order. */
  readonly redeemedBy: readonly PeerId[];
  readonly revokedAtMs: number | null;
  /** Number of the root key whose coming ended it; absent where it was revoked by itself. */
  readonly supersededBy?: number;
}

/**
 * Why a ticket does not admit a newcomer now; undefined when it does. Asked by the leader before it signs anything, and again
 * by every replica.
 */
export function ticketRefusal(
  ticketId: string,
  ticket: TicketRecord | undefined,
  { isSecretRight, wallMs }: { readonly isSecretRight: boolean; readonly wallMs: number },
): AspenError | undefined {
  const reason = refusalReason(ticket, isSecretRight, wallMs);
  if (reason === undefined) return undefined;
  return new AspenError('DENIED', `ticket ${ticketId} is refused: ${reason.text}`, {
    details: { ticketId, reason: reason.name },
  });
}

interface Reason {
  readonly name: 'unknown' | 'wrong-secret' | 'revoked' | 'superseded' | 'expired' | 'used-up';
  readonly text: string;
}

function refusalReason(
  ticket: TicketRecord | undefined,
  isSecretRight: boolean,
  wallMs: number,
): Reason | undefined {
  if (ticket === undefined) return { name: 'unknown', text: 'this mesh does not know it' };
  if (!isSecretRight) return { name: 'wrong-secret', text: 'its secret is wrong' };
  if (ticket.supersededBy !== undefined) {
    const text = `it was made before the mesh replaced its root key (now number ${ticket.supersededBy} or later): ask for a new one`;
    return { name: 'superseded', text };
  }
  if (ticket.revokedAtMs !== null) return { name: 'revoked', text: 'it was revoked' };
  if (wallMs > ticket.expiresAtMs) {
    return { name: 'expired', text: `it expired ${formatDuration(wallMs - ticket.expiresAtMs)} ago` };
  }
  if (ticket.redeemedBy.length >= ticket.uses) {
    return { name: 'used-up', text: `it is used up, ${ticket.redeemedBy.length} of ${ticket.uses} uses` };
  }
  return undefined;
}
