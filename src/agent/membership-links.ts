import { AspenError, type Crypto, type MeshId, type PeerId } from '../base/index.ts';
import type { Registry } from '../crdt/index.ts';
import type { Group } from '../lease/index.ts';
import {
  type Departure,
  type MembershipGate,
  type Roots,
  type Transport,
  verifyDeparture,
  verifyDischarge,
  verifyRevocation,
} from '../mesh/index.ts';

/** The kind of bulletin under which revocations travel; the key is the peer id. */
export const REVOCATIONS = 'revocation';
/** The same of departures; the key names one membership. */
export const DEPARTURES = 'departure';
/** The same of what the mesh itself says of members who have left; the key names one membership. */
export const DISCHARGES = 'discharge';

/** One membership. */
type Ended = Pick<Departure, 'peerId' | 'certificateSignature'>;

export interface MembershipLinkParts {
  readonly self: PeerId;
  readonly crypto: Crypto;
  readonly gate: MembershipGate;
  readonly registry: Registry;
  readonly group: Pick<Group, 'onFacts'>;
  readonly transport: Pick<Transport, 'hangUp' | 'isLinked' | 'onLink'>;
}

/**
 * Carries what is agreed about members to this node's gate.
 *
 * - Who was admitted is known at every replica before it knocks.
 * - A revocation is told as a bulletin, which reaches also those who are cut off from the group; each gate checks the root key's
 *   signature for itself.
 * - Who left is forgotten, once it has hung up: replicas hear of it by what was agreed, and everybody by its own word, as a bulletin: who catches
 *   up on a snapshot, joins late or was down hears of nothing else. Of one that died before it gave its word the mesh says so.
 */
export function linkMembership({
  self,
  crypto,
  gate,
  registry,
  group,
  transport,
}: MembershipLinkParts): Disposable {
  const honour = (revocation: Uint8Array) => {
    const { peerId } = gate.revoke(revocation);
    if (gate.standingOf(peerId) !== 'refused') return; // W3
    transport.hangUp(peerId, 'revoked');
    registry.forget(peerId);
  };
  /** Of a root key that is not believed here yet, or no longer: the two will show each other more when they meet. */
  const admit = (certificate: Uint8Array) => {
    try {
      gate.admit(certificate);
    } catch (error) {
      if (!(error instanceof AspenError) || error.code !== 'DENIED') throw error;
    }
  };
  const departing = new Set<PeerId>();
  const forget = (peerId: PeerId) => {
    departing.delete(peerId);
    gate.forget(peerId);
    registry.forget(peerId);
  };
  /** It still has to hear that it is out: it is forgotten when it hangs up. */
  const depart = (peerId: PeerId) => {
    if (peerId === self) return;
    if (transport.isLinked(peerId)) departing.add(peerId);
    else forget(peerId);
  };
  /** Of one that came back, and does not know that it has left, nobody waits for a word. */
  const dismiss = (peerId: PeerId) => {
    transport.hangUp(peerId, 'it has left the mesh');
    forget(peerId);
  };
  const takeLeave = (ended: Ended | undefined, part: (peerId: PeerId) => void) => {
    if (ended === undefined || ended.peerId === self) return;
    gate.end(ended);
    const certificate = gate.certificateOf(ended.peerId);
    if (certificate !== undefined && isEndedBy(certificate, ended)) part(ended.peerId);
  };
  const departureIn = (bytes: Uint8Array) => verifyDeparture({ crypto, meshId: gate.meshId }, bytes);
  const dischargeIn = (bytes: Uint8Array) =>
    verifyDischarge({ crypto, meshId: gate.meshId, roots: gate.roots }, bytes);
  for (const { bytes } of registry.bulletins.all(REVOCATIONS)) honour(bytes);
  for (const { bytes } of registry.bulletins.all(DEPARTURES)) takeLeave(departureIn(bytes), depart);
  for (const { bytes } of registry.bulletins.all(DISCHARGES)) takeLeave(dischargeIn(bytes), dismiss);
  const subscriptions = [
    registry.bulletins.onAdded(({ kind, bytes }) => {
      if (kind === REVOCATIONS) honour(bytes);
      if (kind === DEPARTURES) takeLeave(departureIn(bytes), depart);
      if (kind === DISCHARGES) takeLeave(dischargeIn(bytes), dismiss);
    }),
    transport.onLink(({ peerId, type }) => {
      if (type === 'closed' && departing.has(peerId)) forget(peerId);
    }),
    group.onFacts((facts) => {
      for (const fact of facts) {
        if (fact.module !== 'members') continue;
        const peerId = fact['peerId'] as PeerId;
        if (fact.type === 'admitted') departing.delete(peerId);
        if (fact.type === 'admitted' && gate.standingOf(peerId) !== 'refused')
          admit(fact['certificate'] as Uint8Array);
        if (fact.type === 'revoked')
          registry.bulletins.add(REVOCATIONS, peerId, fact['revocation'] as Uint8Array);
        if (fact.type === 'left') depart(peerId);
      }
    }),
  ];
  return {
    [Symbol.dispose]() {
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
    },
  };
}

/** Whether a departure is from the membership that this certificate proves. */
export function isEndedBy(
  { signature }: { readonly signature: Uint8Array },
  { certificateSignature }: Pick<Departure, 'certificateSignature'>,
): boolean {
  return Buffer.compare(signature, certificateSignature) === 0;
}

/** @returns whether a bulletin is a revocation of the peer it names, signed by a root key of this mesh, that counts. */
export function isRevocationOf(
  context: { readonly crypto: Crypto; readonly meshId: MeshId; readonly roots: Roots },
  peerId: string,
  bytes: Uint8Array,
): boolean {
  try {
    const revocation = verifyRevocation(context, bytes);
    return revocation.peerId === peerId && context.roots.countsRevocation(revocation);
  } catch (error) {
    if (error instanceof AspenError) return false;
    throw error;
  }
}
