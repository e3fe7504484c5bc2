import { AspenError, type Crypto, type PeerId } from '../base/index.ts';
import type { MembershipGate } from './gate.ts';
import { type Revocation, verifyRevocation } from './revocation.ts';

export interface OwnRevocationComponents {
  readonly self: PeerId;
  readonly gate: MembershipGate;
  readonly crypto: Crypto;
}

/** That this node was revoked, for people. */
export interface OwnEnd {
  /** Wall time of whoever revoked it; undefined where only a later root key names it. */
  readonly atMs: number | undefined;
}

/**
 * Whether this node itself was revoked. Members hang up on a revoked peer; this is how it learns why.
 *
 * - A6 It takes nobody's word for it: a revocation made out to it, signed by a root key that it believes, and judged anew at each look, as it judges
 *   that of any other (V2, V4). Nothing is kept on its disk and nothing it does ends with it: a thief of a root key of before can make it say so
 *   until it hears of the next one, no longer.
 */
export class OwnRevocation {
  readonly #components: OwnRevocationComponents;
  #heard: Revocation | undefined;

  constructor(components: OwnRevocationComponents) {
    this.#components = components;
  }

  /** Undefined while nothing that counts says so. */
  get current(): OwnEnd | undefined {
    const { self, gate } = this.#components;
    if (gate.meshId === undefined) return undefined;
    const isAgreed = gate.standingOf(self) === 'refused';
    const held = this.#heard ?? gate.revocationOf(self);
    const isHeard = this.#heard !== undefined && this.#counts(this.#heard);
    return isAgreed || isHeard ? { atMs: held?.issuedAtMs } : undefined;
  }

  /**
   * @param foreign what a peer shows.
   * @returns what to throw. @throws AspenError DENIED when it does not hold, or is about somebody else; the peer that showed it is worth nothing then.
   */
  hear(foreign: Uint8Array): RevokedError {
    const { self, gate, crypto } = this.#components;
    const { meshId, roots } = gate;
    if (meshId === undefined) throw new AspenError('DENIED', 'this node belongs to no mesh');
    const revocation = verifyRevocation({ crypto, meshId, roots }, foreign);
    if (revocation.peerId !== self) throw new AspenError('DENIED', 'it is the revocation of another');
    if (!this.#counts(revocation)) throw new AspenError('DENIED', 'the revocation counts no longer');
    this.#heard = revocation;
    return this.#error({ atMs: revocation.issuedAtMs });
  }

  /** @throws RevokedError when this node is known to be revoked. */
  throwIfRevoked(): void {
    const { current } = this;
    if (current !== undefined) throw this.#error(current);
  }

  #counts(revocation: Revocation): boolean {
    const { self, gate } = this.#components;
    const own = gate.heldCertificateOf(self);
    return (
      gate.roots.countsRevocation(revocation) && !(own !== undefined && gate.roots.outlives(own, revocation))
    );
  }

  #error({ atMs }: OwnEnd): RevokedError {
    const { self, gate } = this.#components;
    const since = atMs === undefined ? '' : ` (${new Date(atMs).toISOString()})`;
    return new RevokedError(
      `this node, ${self}, was revoked from mesh ${gate.meshId}${since}: its key admits it nowhere any more. ${REVOKED_WAY_OUT}`,
    );
  }
}

/** For people. */
export const REVOKED_WAY_OUT =
  'Stop the agent (aspen-agent down) and join from an empty data directory with a new ticket';

/** What this node has verified itself; it never comes out of a message as such. */
export class RevokedError extends AspenError {
  constructor(message: string) {
    super('DENIED', message, { outcome: 'not-applied', details: { reason: 'revoked' } });
  }
}
