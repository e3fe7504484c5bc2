import { z } from 'zod';
import { AspenError, type Crypto, type PeerId, type Random } from '../base/index.ts';
import type { GroupClient } from '../lease/index.ts';
import {
  type Redemption,
  type Role,
  secretHash,
  TICKET_SECRET_BYTES,
  type TicketGrant,
} from '../mesh/index.ts';

const bytes = z.custom<Uint8Array>((value) => value instanceof Uint8Array, 'expected bytes');

export interface TicketRequest {
  readonly role: Role;
  readonly ttlMs: number;
  readonly uses: number;
  readonly requestId?: string | undefined;
}

interface TicketRow {
  readonly id: string;
  readonly role: Role;
  readonly uses: number;
  readonly expiresAtMs: number;
  readonly redeemedBy: readonly PeerId[];
  readonly revokedAtMs: number | null;
}

/** What any node asks the group about who belongs to the mesh. */
export class MembershipClient {
  readonly #group: GroupClient;
  readonly #crypto: Crypto;
  readonly #random: Random;

  constructor({
    group,
    crypto,
    random,
  }: { readonly group: GroupClient; readonly crypto: Crypto; readonly random: Random }) {
    this.#group = group;
    this.#crypto = crypto;
    this.#random = random;
  }

  /** The secret is drawn here and told to nobody: the group learns its hash. */
  async createTicket({
    role,
    ttlMs,
    uses,
    requestId,
  }: TicketRequest): Promise<{ readonly grant: TicketGrant; readonly secret: Uint8Array }> {
    const secret = this.#random.bytes(TICKET_SECRET_BYTES);
    const body = {
      role,
      ttlMs,
      uses,
      secretHash: secretHash(this.#crypto, secret),
      requestId: requestId ?? null,
    };
    const grant = await this.#group.askLeader<TicketGrant>('members/create-ticket', body);
    if (!this.#crypto.equal(grant.secretHash, body.secretHash)) {
      throw new AspenError(
        'CONFLICT',
        `request ${requestId} created ticket ${grant.id} before; its secret is not kept anywhere`,
      );
    }
    return { grant, secret };
  }

  async redeem(redemption: Redemption): Promise<Uint8Array> {
    const answer = await this.#group.askLeader('members/redeem', redemption);
    return z.object({ certificate: bytes }).parse(answer).certificate;
  }

  async revokeTicket(
    id: string,
    requestId: string | undefined,
  ): Promise<{ readonly id: string; readonly revoked: boolean }> {
    return this.#group.askLeader('members/revoke-ticket', { id, requestId: requestId ?? null });
  }

  /** Tickets, newest first. */
  async tickets() {
    const { tickets } = await this.#group.query<{ readonly tickets: readonly TicketRow[] }>({
      module: 'members',
      kind: 'tickets',
      body: null,
    });
    return tickets
      .map(({ id, role, uses, expiresAtMs, redeemedBy, revokedAtMs }) => ({
        id,
        role,
        uses,
        expiresAt: expiresAtMs,
        redeemedBy: [...redeemedBy],
        revokedAt: revokedAtMs,
      }))
      .reverse();
  }

  async revokeMember(
    peerId: string,
    requestId: string | undefined,
  ): Promise<{
    readonly peerId: string;
    readonly revoked: boolean;
    readonly root: { readonly number: number; readonly isDue: boolean };
  }> {
    return this.#group.askLeader('members/revoke', { peerId, requestId: requestId ?? null });
  }

  async countMembers(): Promise<number> {
    return (await this.agreed()).size;
  }

  /** Who belongs to the mesh as the group has it: somebody who died as it left is known to others for longer. */
  async agreed(): Promise<ReadonlySet<string>> {
    const { members } = await this.#group.query<{
      readonly members: readonly { readonly peerId: PeerId; readonly revokedAtMs: number | null }[];
    }>({
      module: 'members',
      kind: 'list',
      body: null,
    });
    return new Set(members.flatMap(({ peerId, revokedAtMs }) => (revokedAtMs === null ? [peerId] : [])));
  }
}
