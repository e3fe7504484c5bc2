import { AspenError, type Crypto, type MeshId, type PeerId } from '../base/index.ts';
import type { Registry } from '../crdt/index.ts';
import type { Group } from '../lease/index.ts';
import { type MembershipGate, type Transport, verifyRevocation } from '../mesh/index.ts';

/** The kind of bulletin under which revocations travel; the key is the peer id. */
export const REVOCATIONS = 'revocation';

export interface RevocationParts {
  readonly gate: MembershipGate;
  readonly registry: Registry;
  readonly group: Pick<Group, 'onFacts'>;
  readonly transport: Pick<Transport, 'hangUp'>;
}

/**
 * Carries what the group has agreed about expelled members to every gate: a replica tells it as a bulletin, bulletins reach also those
 * who are cut off from the group, and each gate checks the root key's signature for itself.
 */
export function linkRevocations({ gate, registry, group, transport }: RevocationParts): Disposable {
  const honour = (revocation: Uint8Array) => {
    const { peerId } = gate.revoke(revocation);
    transport.hangUp(peerId, 'revoked');
    registry.forget(peerId);
  };
  for (const { bytes } of registry.bulletins.all(REVOCATIONS)) honour(bytes);
  const subscriptions = [
    registry.bulletins.onAdded(({ kind, bytes }) => {
      if (kind === REVOCATIONS) honour(bytes);
    }),
    group.onFacts((facts) => {
      for (const fact of facts) {
        if (fact.module !== 'members' || fact.type !== 'revoked') continue;
        registry.bulletins.add(REVOCATIONS, fact['peerId'] as PeerId, fact['revocation'] as Uint8Array);
      }
    }),
  ];
  return {
    [Symbol.dispose]() {
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
    },
  };
}

/** @returns whether a bulletin is a revocation of the peer it names, signed by the root key of this mesh. */
export function isRevocationOf(
  context: { readonly crypto: Crypto; readonly meshId: MeshId },
  peerId: string,
  bytes: Uint8Array,
): boolean {
  try {
    return verifyRevocation(context, bytes).peerId === peerId;
  } catch (error) {
    if (error instanceof AspenError) return false;
    throw error;
  }
}
