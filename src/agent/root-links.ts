import { AspenError, type Clock, type Crypto, every, type Logger, type PeerId } from '../base/index.ts';
import type { Registry } from '../crdt/index.ts';
import type { Group } from '../lease/index.ts';
import { decodeSuccession, type MembershipGate, signVouch, type Transport } from '../mesh/index.ts';
import { DISCHARGES, REVOCATIONS } from './membership-links.ts';

export interface RootLinkParts {
  readonly self: PeerId;
  /** This node's own secret, 32 bytes: vouches are signed with it. */
  readonly identitySeed: Uint8Array;
  readonly crypto: Crypto;
  readonly gate: MembershipGate;
  readonly group: Pick<Group, 'agreedRoots'>;
  readonly registry: Registry;
  readonly transport: Pick<Transport, 'hangUp'>;
  readonly clock: Clock;
  readonly log: Logger;
  /** Told when what this node believes of root keys, or whom it counts on, has changed: to be kept. */
  readonly onChange: () => void;
}

const LOOK_EVERY_MS = 500;

/**
 * Carries what is agreed about the root key to this node's gate, and what the gate learns to the other parts.
 *
 * - A replica gives its word for what the group agreed to; every other node that is asked for its word gives it once it is convinced.
 * - Whoever no longer counts is hung up on and forgotten, and revocations that no longer count are dropped.
 */
export function linkRoots(parts: RootLinkParts): Disposable {
  const { self, gate, registry, transport, clock, onChange } = parts;
  const { roots } = gate;
  const look = () => tellAgreed(parts);
  const subscriptions = [
    every(clock, LOOK_EVERY_MS, look),
    roots.onChange((change) => {
      if (change === 'key' || change === 'list') registry.bulletins.recheck(REVOCATIONS);
      if (change === 'key') registry.bulletins.recheck(DISCHARGES); // G7
      if (change === 'key') giveWord(parts);
      if (change !== 'list') onChange();
    }),
    gate.onChange((peerId) => {
      if (peerId === self || gate.standingOf(peerId) === 'member') return;
      transport.hangUp(peerId, 'no longer a member');
      registry.forget(peerId);
    }),
  ];
  return {
    [Symbol.dispose]() {
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
    },
  };
}

function tellAgreed({ self, identitySeed: seed, crypto, gate: { roots }, group, log }: RootLinkParts): void {
  const agreed = group.agreedRoots();
  if (agreed === undefined) return;
  const next = agreed.successions[roots.number];
  try {
    if (next !== undefined && roots.pending === undefined) {
      const succession = decodeSuccession(next);
      roots.note(succession, signVouch(crypto, { peerId: self, seed }, succession));
    }
    if (roots.lacksList && agreed.list !== undefined && agreed.successions.length === roots.number)
      roots.setList(agreed.list);
  } catch (err) {
    if (!(err instanceof AspenError)) throw err;
    log.warn(
      { err, number: roots.number },
      'what the group agreed about the root key does not fit what is believed here',
    );
  }
}

function giveWord({ self, identitySeed: seed, crypto, gate: { roots } }: RootLinkParts): void {
  const { latest } = roots;
  if (latest === undefined || !latest.vouchers.includes(self)) return;
  roots.vouch(latest.number, signVouch(crypto, { peerId: self, seed }, latest));
}
