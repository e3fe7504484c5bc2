import { z } from 'zod';
import {
  AspenError,
  type Clock,
  type Crypto,
  type MeshId,
  newId,
  type PeerId,
  type Random,
} from '../base/index.ts';
import {
  encodeCertificate,
  encodeRevocation,
  isPeerId,
  isRole,
  type Role,
  secretHash,
  signCertificate,
  signDischarge,
  signRevocation,
  signTicket,
  type TicketGrant,
} from '../mesh/index.ts';
import { textKey } from '../storage/index.ts';
import type { LeaderRequest, Leadership } from './group.ts';
import { type Member, parseWith, requireRole, type TicketRecord, ticketRefusal } from './machine/index.ts';
import type { MemberObservation } from './member-observation.ts';
import type { Replica } from './replica/index.ts';
import { caughtUpPeers } from './role-keeper.ts';
import type { RootCustody } from './root-custody.ts';
import type { RootKeeper, RootProgress } from './root-keeper.ts';
import { notLeader } from './submission.ts';
import { howToYield, wayOutOfStaying } from './yield-rules.ts';

export interface RegistrarComponents {
  readonly self: PeerId;
  readonly crypto: Crypto;
  readonly random: Random;
  readonly clock: Clock;
  readonly replica: Replica;
  readonly custody: RootCustody;
  readonly rootKeeper: RootKeeper;
  readonly meshId: MeshId;
  /** Members in good standing, as this node sees them. */
  readonly observe: () => readonly MemberObservation[];
}

/** What became of a revocation. */
export interface Revoked {
  readonly peerId: PeerId;
  readonly revoked: boolean;
  /** Of the mesh: whether another one is on its way, because the revoked member had it. */
  readonly root: RootProgress;
}

/** How long an answer waits for the new root key; what is not done by then is done later. Unit: ms. */
const ROOT_TIMEOUT_MS = 5_000;

const bytesOf = (length: number) =>
  z.custom<Uint8Array>(
    (value) => value instanceof Uint8Array && value.length === length,
    `expected ${length} bytes`,
  );
const peerId = z.custom<PeerId>(isPeerId, 'expected a peer id');

const parseRedeem = parseWith(
  z.object({
    ticketId: z.string().min(1).max(64),
    secret: bytesOf(16),
    peerId,
    sealingKey: bytesOf(32),
  }),
);
const parseCreate = parseWith(
  z.object({
    role: z.custom<Role>(isRole, 'expected a role: voter, worker, submitter or observer'),
    ttlMs: z
      .number()
      .int()
      .min(1)
      .max(10 * 365 * 86_400_000),
    uses: z.number().int().min(1).max(10_000),
    secretHash: bytesOf(32),
    requestId: z.string().min(1).max(256).nullish(),
  }),
);
const parseTicketId = parseWith(
  z.object({ id: z.string().min(1).max(64), requestId: z.string().min(1).max(256).nullish() }),
);
const parseDischarge = parseWith(z.object({ peerId, certificateSignature: bytesOf(64) }));
const parsePeer = parseWith(z.object({ peerId, requestId: z.string().min(1).max(256).nullish() }));

/**
 * Signs in the name of the mesh while this node leads: certificates for newcomers, tickets, revocations. What it signs is worth
 * nothing before the group has agreed to it, and `apply` guards all of it once more.
 */
export function serveRegistrar(leadership: Leadership, components: RegistrarComponents): void {
  const registrar = new Registrar(leadership, components);
  leadership.serve('members/redeem', ({ body }) => registrar.redeem(body));
  leadership.serve('members/create-ticket', (request) => registrar.createTicket(request));
  leadership.serve('members/revoke-ticket', (request) => registrar.revokeTicket(request));
  leadership.serve('members/revoke', (request) => registrar.revoke(request));
  leadership.serve('members/discharge', (request) => registrar.discharge(request));
  leadership.serve('members/leave', (request) => registrar.leave(request));
}

class Registrar {
  readonly #leadership: Leadership;
  readonly #components: RegistrarComponents;

  constructor(leadership: Leadership, components: RegistrarComponents) {
    this.#leadership = leadership;
    this.#components = components;
  }

  /** Asked by whichever member the newcomer talks to. Idempotent per newcomer. */
  async redeem(body: unknown): Promise<{ readonly certificate: Uint8Array }> {
    const { ticketId, secret, peerId, sealingKey } = parseRedeem(body);
    const { crypto, clock } = this.#components;
    const { ticket, member } = this.#leadership.read(({ module }) => ({
      ticket: module('members').table<TicketRecord>('tickets').get(textKey(ticketId)),
      member: module('members').table<Member>('members').get(textKey(peerId)),
    }));
    const hash = secretHash(crypto, secret);
    const isSecretRight = ticket !== undefined && crypto.equal(ticket.secretHash, hash);
    const refusal = ticketRefusal(ticketId, ticket, { isSecretRight, wallMs: clock.wallMs() });
    if (refusal !== undefined && (member === undefined || !isSecretRight)) throw refusal;
    const { signer, rootNumber } = this.#root();
    const certificate = signCertificate(signer, {
      peerId,
      role: ticket?.role ?? 'observer',
      sealingKey,
      issuedAtMs: clock.wallMs(),
      ticketId,
    });
    return this.#propose('admit', {
      ticketId,
      secretHash: hash,
      peerId,
      sealingKey,
      certificate: encodeCertificate(certificate),
      rootNumber,
    });
  }

  /** Nobody invites others to more than they may themselves. The secret stays where the ticket is made. */
  async createTicket({ from, body }: LeaderRequest): Promise<TicketGrant> {
    const { role, ttlMs, uses, secretHash: hash, requestId } = parseCreate(body);
    this.#requireRole(from, role, `invite a ${role}`);
    const { clock } = this.#components;
    const record = await this.#propose<TicketRecord>(
      'createTicket',
      {
        id: newId('tkt', this.#components),
        role,
        secretHash: hash,
        expiresAtMs: clock.wallMs() + ttlMs,
        uses,
      },
      requestId,
    );
    const { id, expiresAtMs } = record;
    return signTicket(this.#root().signer, {
      id,
      role: record.role,
      expiresAtMs,
      uses: record.uses,
      secretHash: record.secretHash,
    });
  }

  revokeTicket({ from, body }: LeaderRequest): Promise<{ readonly id: string; readonly revoked: boolean }> {
    const { id, requestId } = parseTicketId(body);
    this.#requireRole(from, 'voter', 'revoke a ticket');
    return this.#propose('revokeTicket', { id }, requestId);
  }

  /**
   * A voter is taken out of the group before it is revoked: else it could still decide about its own revocation. Then the root key is replaced,
   * if the revoked one had it.
   */
  async revoke({ from, body }: LeaderRequest): Promise<Revoked> {
    const { peerId, requestId } = parsePeer(body);
    const { clock, self, rootKeeper } = this.#components;
    this.#requireRole(from, 'voter', 'revoke a member');
    if (peerId === self) await this.#makeWay();
    this.#takeOut(peerId);
    const { signer, rootNumber } = this.#root();
    const revocation = encodeRevocation(signRevocation(signer, { peerId, issuedAtMs: clock.wallMs() }));
    const revoked = await this.#propose<Omit<Revoked, 'root'>>(
      'revokeMember',
      { peerId, revocation, rootNumber },
      requestId,
    );
    return { ...revoked, root: await rootKeeper.settled(ROOT_TIMEOUT_MS) };
  }

  /** K1, K3 */
  async leave({ from, body }: LeaderRequest): Promise<{ readonly peerId: PeerId; readonly left: boolean }> {
    const { peerId, requestId } = parsePeer(body);
    const { self, custody } = this.#components;
    if (peerId !== from) this.#requireRole(from, 'voter', 'take another member out');
    if (peerId === self) await this.#makeWay();
    custody.open(this.#leadership);
    return this.#propose('leave', { peerId }, requestId);
  }

  /**
   * M6: whoever asks held the certificate before, so it was admitted before; who is no member after a majority has confirmed this leader has left.
   * @throws AspenError CONFLICT when the peer is a member, or was revoked.
   */
  async discharge({ from, body }: LeaderRequest): Promise<{ readonly discharge: Uint8Array }> {
    const ended = parseDischarge(body);
    this.#requireRole(from, 'voter', 'say that a member has left');
    await this.#leadership.confirm();
    const member = this.#leadership.read(({ module }) =>
      module('members').table<Member>('members').get(textKey(ended.peerId)),
    );
    if (member !== undefined) throw new AspenError('CONFLICT', `${ended.peerId} has not left the mesh`);
    return { discharge: signDischarge(this.#root().signer, ended) };
  }

  /**
   * K2. A leader does not let go of itself: another one takes over first, and the asker's call finds it and asks there.
   * @throws AspenError NOT_LEADER or UNAVAILABLE, so that the call goes on at the next leader; CONFLICT when nobody else could lead.
   */
  async #makeWay(): Promise<never> {
    const { self, replica, custody, observe } = this.#components;
    const members = observe();
    const state = replica.raftState;
    const keepers = custody.keepers(
      this.#leadership,
      members.map(({ peerId }) => peerId),
    );
    const next = howToYield({ self, state, members, keepers, caughtUp: caughtUpPeers(state) });
    if (next.move === 'wait') throw nobodyToTakeOver(self, next.isHopeless ? members : undefined);
    await custody.entrust(this.#leadership, [next.to]);
    const isUnderWay =
      next.move === 'transfer'
        ? replica.transferLeadership(next.to)
        : !('refused' in replica.proposeConfiguration(next.change));
    if (isUnderWay && next.move === 'transfer') throw notLeader(next.to);
    throw new AspenError('UNAVAILABLE', `${self} leads the group and makes way for ${next.to}`, {
      outcome: 'not-applied',
    });
  }

  #takeOut(peerId: PeerId): void {
    const { replica } = this.#components;
    const { voters, outgoing, learners } = replica.raftState.configuration;
    if (![...voters, ...outgoing, ...learners].includes(peerId)) return;
    const proposed = replica.proposeConfiguration({ remove: [peerId] });
    if (!('refused' in proposed) || proposed.refused === 'no-change') return;
    throw new AspenError(
      'UNAVAILABLE',
      `${peerId} cannot be taken out of the group now: ${proposed.refused}`,
      {
        outcome: 'not-applied',
      },
    );
  }

  #requireRole(from: PeerId, needed: Role, deed: string): void {
    this.#leadership.read(({ module }) => requireRole(module('members'), from, { needed, deed }));
  }

  /** The present root key, and which one that is: `apply` takes nothing that another one signed. */
  #root() {
    const { crypto, custody, meshId, rootKeeper } = this.#components;
    return {
      signer: { crypto, meshId, rootSeed: custody.open(this.#leadership) },
      rootNumber: rootKeeper.progress.number,
    };
  }

  #propose<R>(kind: string, body: unknown, requestId?: string | null): Promise<R> {
    const id = requestId == null ? {} : { requestId };
    return this.#leadership.propose<R>({ module: 'members', kind, body, ...id });
  }
}

/** @param alone the members, where waiting does not help. */
function nobodyToTakeOver(self: PeerId, alone: readonly MemberObservation[] | undefined): AspenError {
  const why = `${self} leads the group and no other voter is in contact to take over`;
  if (alone !== undefined) return new AspenError('CONFLICT', `${why}: ${wayOutOfStaying(self, alone)}`);
  return new AspenError('UNAVAILABLE', `${why} yet`, { outcome: 'not-applied' });
}
