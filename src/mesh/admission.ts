import {
  AspenError,
  type Clock,
  type Crypto,
  InvariantError,
  type Logger,
  type MeshId,
  type PeerId,
} from '../base/index.ts';
import {
  type AdmissionAnswer,
  type AdmissionRequest,
  decodeAdmissionAnswer,
  decodeAdmissionRequest,
  encodeAdmissionAnswer,
  encodeAdmissionRequest,
  fitting,
} from './admission-messages.ts';
import {
  asAspenError,
  ImpostorError,
  isFinal,
  isOfUnknownRoot,
  moreTelling,
  NOT_YET,
  notSettled,
  tooFrequent,
} from './admission-refusals.ts';
import { AttemptBudget, type AttemptBudgetOptions } from './attempt-budget.ts';
import { type Certificate, encodeCertificate, UNKNOWN_ROOT } from './certificate.ts';
import { isCircuit } from './circuit-address.ts';
import type { MembershipGate } from './gate.ts';
import { OwnRevocation, RevokedError } from './own-revocation.ts';
import { isPublicAddress } from './public-address.ts';
import { encodeRevocation } from './revocation.ts';
import { SUCCESSIONS_LIMIT } from './succession.ts';
import type { Ticket, TicketMember } from './ticket.ts';
import type { Transport } from './transport.ts';

/** What a joiner brings; the group decides. */
export interface Redemption {
  readonly ticketId: string;
  /** 16 bytes. */
  readonly secret: Uint8Array;
  /** Authenticated by the handshake. */
  readonly peerId: PeerId;
  /** X25519, 32 bytes. */
  readonly sealingKey: Uint8Array;
}

export interface AdmissionComponents {
  readonly transport: Transport;
  readonly gate: MembershipGate;
  readonly clock: Clock;
  readonly crypto: Crypto;
  readonly log: Logger;
  /**
   * Records the use in the agreed state and returns the encoded certificate; asked again for the same joiner it returns the same.
   * Throws DENIED (unknown, expired, revoked, used up, wrong secret) or NO_QUORUM.
   */
  readonly redeem: (redemption: Redemption) => Promise<Uint8Array>;
}

/**
 * How members get to know each other and newcomers get in: the only talk a stranger is heard in.
 *
 * - A1 A secret is told only to a peer that has shown a certificate of the ticket's mesh for its authenticated peer id.
 * - A2 A certificate counts only for the peer that the handshake has identified; showing somebody else's is refused.
 * - A3 Two members that have each other's certificate by this exchange need nobody else: no group, no quorum.
 * - A5 Where one of the two knows later root keys, it shows them before a certificate of a later key is refused; each decides by its own
 *   witnesses (R1), a joiner by its ticket (R5).
 * - A4 Whatever is malformed or too frequent is refused and counted, and costs little.
 * - A6 Whoever the gate refuses is shown why, the revocation made out to it as the root key signed it, and the root keys that lead there; nothing that
 *   it says is taken in. It believes the signature, not the peer (`own-revocation.ts`).
 */
export class Admission implements Disposable {
  readonly #components: AdmissionComponents;
  readonly #log: Logger;
  readonly #budget: AttemptBudget;
  readonly #answering: Disposable;
  /** Whether this node itself was revoked. */
  readonly own: OwnRevocation;
  #malformedCount = 0;

  constructor(components: AdmissionComponents, options: AttemptBudgetOptions = {}) {
    this.#components = components;
    this.#log = components.log.child({ part: 'admission' });
    this.#budget = new AttemptBudget(components.clock, options);
    const { transport, gate, crypto } = components;
    this.own = new OwnRevocation({ self: transport.self, gate, crypto });
    this.#answering = transport.admission.answer(
      (from, request) => this.#answer(from, request, (read) => this.#decide(from, read)),
      (from, request) => this.#answer(from, request, async (read) => this.#dismiss(from, read)),
    );
  }

  /** Requests that made no sense, since the start. */
  get malformedCount(): number {
    return this.#malformedCount;
  }

  [Symbol.dispose](): void {
    this.#answering[Symbol.dispose]();
  }

  /**
   * Shows the own certificate to a peer and takes its own, so that both gates admit each other.
   * @returns the peer's certificate. @throws AspenError DENIED when either gate refuses, UNAVAILABLE when it is not reached.
   */
  async introduce(
    { peerId, addresses }: TicketMember,
    options: { readonly signal?: AbortSignal } = {},
  ): Promise<Certificate> {
    const member = { peerId, addresses };
    const answer = await this.#showCertificate(member, options.signal);
    if (answer.type !== 'admitted')
      throw new AspenError('DENIED', `${peerId} gave no answer to a certificate`);
    try {
      return this.#admitFrom(peerId, answer);
    } catch (error) {
      if (!isOfUnknownRoot(error)) throw error;
      await this.#exchangeRoots(member, options.signal); // A5
      return this.#admitFrom(peerId, answer);
    }
  }

  /** A5: a peer that does not know our root key is told of it, once. */
  async #showCertificate(member: TicketMember, signal: AbortSignal | undefined): Promise<AdmissionAnswer> {
    const own = this.#ownCertificate();
    const shown = { meshId: own.meshId, ...this.#ownWords(own) };
    const request = { type: 'certificate', ...shown } as const;
    try {
      return await this.#ask(member, request, signal);
    } catch (error) {
      if (!isOfUnknownRoot(error)) throw error;
      await this.#exchangeRoots(member, signal);
      return this.#ask(member, request, signal);
    }
  }

  /** Both learn what the other knows more, message by message. */
  async #exchangeRoots(member: TicketMember, signal: AbortSignal | undefined): Promise<void> {
    const { roots } = this.#components.gate;
    const meshId = this.#ownMesh();
    let told = fitting(roots.entries());
    for (let next = 1; ; ) {
      const { number } = roots;
      const request = { type: 'roots', meshId, from: roots.number + 1, entries: told } as const;
      const answer = await this.#ask(member, request, signal);
      if (answer.type !== 'roots') throw new AspenError('DENIED', `${member.peerId} tells no root keys`);
      for (const entry of answer.entries) roots.learn(entry);
      next += told.length;
      told = fitting(roots.entries(next));
      if (told.length === 0 && roots.number === number) return;
    }
  }

  /**
   * Redeems a ticket at one of its members: the first that is reached and can. Both gates admit each other and the own certificate is admitted here.
   * @returns the certificate of this node, to be kept.
   * @throws AspenError DENIED when the mesh refuses; NO_QUORUM or UNAVAILABLE when trying again later can help.
   */
  async join(
    ticket: Ticket,
    { sealingKey, signal }: { readonly sealingKey: Uint8Array; readonly signal?: AbortSignal },
  ): Promise<Uint8Array> {
    let failure: unknown = new AspenError('UNAVAILABLE', `ticket ${ticket.id} names nobody to ask`);
    for (const member of likelyFirst(ticket.members).filter(
      ({ peerId }) => peerId !== this.#components.transport.self,
    )) {
      try {
        return await this.#joinAt(member, ticket, sealingKey, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (isFinal(error)) throw error;
        this.#log.info(
          { err: error, peerId: member.peerId },
          'joining at this member failed, trying the next',
        );
        failure = moreTelling(failure, error);
      }
    }
    throw failure;
  }

  /**
   * Follows the root keys of the own mesh to the one that signed the ticket, on the word of whoever handed the ticket over (R5). Nothing is redeemed.
   * @throws AspenError UNAVAILABLE when no member named by the ticket leads there.
   */
  async follow(ticket: Ticket, { signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    const { gate, transport } = this.#components;
    if (gate.roots.numberOf(ticket.rootPublicKey) !== undefined) return;
    let failure: unknown = new AspenError('UNAVAILABLE', `ticket ${ticket.id} names nobody to ask`);
    for (const member of ticket.members.filter(({ peerId }) => peerId !== transport.self)) {
      try {
        return await this.#followToTicket(member, ticket, signal);
      } catch (error) {
        signal?.throwIfAborted();
        if (!(error instanceof AspenError)) throw error;
        this.#log.info(
          { err: error, peerId: member.peerId },
          'this member does not lead to the key of the ticket',
        );
        failure = error;
      }
    }
    throw failure;
  }

  async #joinAt(
    member: TicketMember,
    ticket: Ticket,
    sealingKey: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<Uint8Array> {
    const { meshId, id: ticketId, secret } = ticket;
    await this.#followToTicket(member, ticket, signal);
    await this.#checkMember(meshId, member, signal); // A1
    const answer = await this.#ask(member, { type: 'ticket', meshId, ticketId, secret, sealingKey }, signal);
    if (answer.type !== 'admitted' || answer.issued === null) {
      throw new ImpostorError(`${member.peerId} issued no certificate`);
    }
    return this.#acceptIssued(answer.issued, member.peerId, answer);
  }

  /** R5: from the root key that the mesh id stands for to the one that signed the ticket. */
  async #followToTicket(
    member: TicketMember,
    ticket: Ticket,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { roots } = this.#components.gate;
    if (roots.numberOf(ticket.rootPublicKey) !== undefined) return;
    const entries: Uint8Array[] = [];
    while (entries.length < SUCCESSIONS_LIMIT) {
      const from = roots.number + entries.length + 1;
      const request = { type: 'roots', meshId: ticket.meshId, from, entries: [] } as const;
      const answer = await this.#ask(member, request, signal);
      if (answer.type !== 'roots' || answer.entries.length === 0) break;
      entries.push(...answer.entries);
    }
    try {
      roots.learnUpTo(entries, ticket.rootPublicKey);
    } catch (cause) {
      if (!(cause instanceof AspenError)) throw cause;
      // It may be about to hear of that key; an impostor is asked in vain until the time is up, and told nothing.
      const text = `${member.peerId} does not know the root key of the ticket (yet): ${cause.message}`;
      throw new AspenError('UNAVAILABLE', text, { outcome: 'not-applied', details: NOT_YET, cause });
    }
  }

  /** The certificate must be ours and of the mesh that the ticket is for, or it is thrown away. */
  #acceptIssued(issued: Uint8Array, from: PeerId, shown: Shown): Uint8Array {
    const { transport, gate } = this.#components;
    const certificate = gate.verify(issued);
    if (certificate.peerId !== transport.self)
      throw new ImpostorError(`${from} issued a certificate for another`);
    gate.admit(issued);
    this.#admitFrom(from, shown);
    return issued;
  }

  async #checkMember(meshId: MeshId, member: TicketMember, signal: AbortSignal | undefined): Promise<void> {
    const { peerId } = member;
    try {
      const hello = await this.#ask(member, { type: 'hello', meshId }, signal);
      if (hello.type !== 'hello') throw new AspenError('DENIED', 'it shows no certificate');
      const verified = this.#components.gate.verify(hello.certificate, hello.proof);
      if (verified.peerId !== peerId) throw new AspenError('DENIED', 'it is the certificate of another'); // A2
    } catch (cause) {
      if (!(cause instanceof AspenError) || cause.code !== 'DENIED' || cause instanceof RevokedError)
        throw cause;
      if (isOfUnknownRoot(cause)) {
        const text = `${peerId} shows a certificate of another root key than the ticket's: a ticket made before the mesh replaced its root key no longer admits, ask for a new one`;
        throw new ImpostorError(text, { cause });
      }
      throw new ImpostorError(`${peerId} has not shown that it belongs to mesh ${meshId}: ${cause.message}`, {
        cause,
      });
    }
  }

  async #ask(
    { peerId, addresses }: TicketMember,
    request: AdmissionRequest,
    signal: AbortSignal | undefined,
  ): Promise<AdmissionAnswer> {
    const bytes = encodeAdmissionRequest(request);
    const answer = decodeAdmissionAnswer(
      await this.#components.transport.admission.ask(peerId, addresses, bytes, signal),
    );
    if (answer.type === 'refused') throw answer.error;
    if (answer.type === 'revoked') throw this.own.hear(answer.revocation); // A6
    return answer;
  }

  async #answer(
    from: PeerId,
    bytes: Uint8Array,
    decide: (request: AdmissionRequest) => Promise<AdmissionAnswer>,
  ): Promise<Uint8Array> {
    using attempt = this.#budget.take(from);
    try {
      if (attempt === undefined) throw tooFrequent(); // A4
      return encodeAdmissionAnswer(await decide(this.#read(from, bytes)));
    } catch (error) {
      if (error instanceof InvariantError) throw error;
      if (!(error instanceof AspenError)) this.#log.error({ err: error, from }, 'admission failed');
      return encodeAdmissionAnswer({ type: 'refused', error: asAspenError(error) });
    }
  }

  #read(from: PeerId, bytes: Uint8Array): AdmissionRequest {
    try {
      return decodeAdmissionRequest(bytes);
    } catch (err) {
      this.#malformedCount += 1;
      this.#log.warn({ err, from, count: this.#malformedCount }, 'malformed admission request');
      throw err;
    }
  }

  async #decide(from: PeerId, request: AdmissionRequest): Promise<AdmissionAnswer> {
    const own = this.#ownCertificate();
    if (request.meshId !== own.meshId) throw new AspenError('DENIED', `this is not mesh ${request.meshId}`);
    const words = this.#ownWords(own);
    if (request.type === 'hello') {
      if (this.#lacksProof(own, words)) throw notSettled();
      return { type: 'hello', ...words };
    }
    if (request.type === 'roots') {
      const { roots } = this.#components.gate;
      for (const entry of request.entries) roots.learn(entry);
      return { type: 'roots', entries: fitting(roots.entries(request.from)) };
    }
    if (request.type === 'certificate') {
      this.#admitFrom(from, request);
      return { type: 'admitted', ...words, issued: null };
    }
    const { ticketId, secret, sealingKey } = request;
    const issued = await this.#components.redeem({ ticketId, secret, peerId: from, sealingKey });
    try {
      this.#admitFrom(from, { certificate: issued });
    } catch (cause) {
      if (!isOfUnknownRoot(cause)) throw cause;
      throw notSettled(cause);
    }
    this.#log.info({ peerId: from, ticketId }, 'a peer joined with a ticket');
    return { type: 'admitted', ...words, issued };
  }

  /** A6. What a stranger with the mesh's id may ask for as well, and what is about the peer itself. */
  #dismiss(from: PeerId, request: AdmissionRequest): AdmissionAnswer {
    const { gate } = this.#components;
    if (request.meshId !== gate.meshId) throw new AspenError('DENIED', `this is not mesh ${request.meshId}`);
    if (request.type === 'roots')
      return { type: 'roots', entries: fitting(gate.roots.entries(request.from)) };
    const revocation = gate.revocationOf(from);
    if (revocation !== undefined) return { type: 'revoked', revocation: encodeRevocation(revocation) };
    throw new AspenError('DENIED', `${from} was revoked from this mesh, by a root key of later`, {
      details: { reason: UNKNOWN_ROOT },
    });
  }

  /** A joiner has no list: it could not tell this certificate from what a thief of the old key signs. */
  #lacksProof({ rootPublicKey }: Certificate, { proof }: Shown): boolean {
    const { roots } = this.#components.gate;
    return proof === undefined && roots.numberOf(rootPublicKey) !== roots.number;
  }

  #ownWords(own: Certificate): Shown {
    const { roots } = this.#components.gate;
    const certificate = encodeCertificate(own);
    if (roots.numberOf(own.rootPublicKey) === roots.number) return { certificate };
    return { certificate, proof: roots.proofOf(own.peerId) };
  }

  /** A2: checks before admitting, so that nobody can fill our gate with the certificates of others. */
  #admitFrom(peerId: PeerId, { certificate, proof }: Shown): Certificate {
    const { gate } = this.#components;
    this.#ownMesh();
    if (gate.verify(certificate, proof).peerId !== peerId) {
      throw new AspenError('DENIED', `${peerId} shows the certificate of another`);
    }
    return gate.admit(certificate, proof);
  }

  #ownMesh(): MeshId {
    const { meshId } = this.#components.gate;
    if (meshId === undefined) throw new AspenError('DENIED', 'this node belongs to no mesh');
    return meshId;
  }

  #ownCertificate(): Certificate {
    const { gate, transport } = this.#components;
    const own = gate.heldCertificateOf(transport.self); // also when it was revoked: the others decide, and tell of later root keys
    if (own === undefined)
      throw new AspenError('DENIED', `${transport.self} has no certificate of this mesh itself`);
    return own;
  }
}

/** A newcomer can use no circuit: who has a public address of its own is asked first. */
function likelyFirst(members: readonly TicketMember[]): readonly TicketMember[] {
  const isOpen = ({ addresses }: TicketMember) =>
    addresses.some((address) => !isCircuit(address) && isPublicAddress(address));
  return members.toSorted((left, right) => Number(isOpen(right)) - Number(isOpen(left)));
}

/** A certificate as it was shown. */
type Shown = Pick<Extract<AdmissionAnswer, { readonly type: 'hello' }>, 'certificate' | 'proof'>;
