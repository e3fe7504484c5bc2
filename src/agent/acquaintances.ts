import { AspenError, estimateRttMs, type Logger, type PeerId } from '../base/index.ts';
import type { Registry } from '../crdt/index.ts';
import type { Group } from '../lease/index.ts';
import {
  type Certificate,
  type KnownMember,
  type LinkableMember,
  type MembershipGate,
  type Role,
  roleAllows,
} from '../mesh/index.ts';

export interface AcquaintancesComponents {
  readonly self: PeerId;
  readonly gate: MembershipGate;
  readonly log: Logger;
  /** Made after this part, and asked only once they are there. */
  readonly registry: () => Registry;
  readonly group: () => Pick<Group, 'status'>;
  /** To whom this node is linked. */
  readonly connected: () => readonly PeerId[];
}

/** Of those who left and are still told of; beyond it they are told of again later. */
const REMNANTS_LIMIT = 1_000;

type MemberFact = { readonly module: string; readonly type: string; readonly peerId?: unknown };

/** The other members as the parts of this node ask for them: who is known, who decides, who works, and who has left. */
export class Acquaintances {
  readonly #components: AcquaintancesComponents;
  /** Who left since this node started, and was not admitted again. */
  readonly #departed = new Set<PeerId>();
  /** What others still hold of those who left: the certificates that they were shown. */
  readonly #remnants = new Map<PeerId, Certificate>();

  constructor(components: AcquaintancesComponents) {
    this.#components = components;
  }

  roleOf(peerId: PeerId): Role | undefined {
    return this.#components.gate.certificateOf(peerId)?.role;
  }

  /** All but this node, with the addresses that they told. */
  known(): KnownMember[] {
    return this.#others().flatMap((peerId) => {
      const profile = this.#components.registry().node(peerId)?.profile;
      if (profile === undefined) return [];
      return [{ peerId, addresses: profile.addresses, isRelay: profile.isRelay === true }];
    });
  }

  /** In no order; asked when it matters to whom this node is linked. */
  linkable(): readonly LinkableMember[] {
    const registry = this.#components.registry();
    return this.#others().flatMap((peerId) => {
      const known = registry.node(peerId);
      if (known === undefined) return [];
      const { isAlive, coordinate, profile } = known;
      const rttMs = coordinate && estimateRttMs(registry.coordinate, coordinate);
      return [{ peerId, isAlive, rttMs, addresses: profile.addresses }];
    });
  }

  /** Who votes and who leads: everybody has something to say to them. */
  deciders(): ReadonlySet<PeerId> {
    const { voters, leader } = this.#components.group().status();
    return new Set([...voters, ...(leader === null ? [] : [leader])]);
  }

  linkedWorkers(): readonly PeerId[] {
    const isWorker = (peerId: PeerId) => roleAllows(this.roleOf(peerId) ?? 'observer', 'worker');
    return this.#components.connected().filter(isWorker);
  }

  /** Where others may try to reach a peer: what it said itself, or how it is linked now. */
  addressesOf(peerId: PeerId, linkAddress: string): string[] {
    const told = this.#components.registry().node(peerId)?.profile.addresses ?? [];
    return told.length > 0 ? [...told] : [linkAddress];
  }

  /** Most members of a large mesh are never linked with this node; what they tell to prove themselves is as good as if they did so here. */
  meet(owner: PeerId, certificate: Uint8Array): void {
    const { gate, log } = this.#components;
    try {
      const shown = gate.verify(certificate);
      if (shown.peerId !== owner) return;
      if (!this.#departed.has(owner)) gate.admit(certificate);
      else if (this.#remnants.size < REMNANTS_LIMIT) this.#remnants.set(owner, shown);
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      log.debug({ err, owner }, 'what a peer tells to prove itself does not hold here');
    }
  }

  /** Takes note of what was agreed about members. */
  readonly onFacts = (facts: readonly MemberFact[]): void => {
    for (const { module, type, peerId } of facts) {
      if (module !== 'members') continue;
      if (type === 'left') this.#departed.add(peerId as PeerId);
      if (type === 'admitted') {
        this.#departed.delete(peerId as PeerId);
        this.#remnants.delete(peerId as PeerId);
      }
    }
  };

  /** Certificates of others by which this node, or one that told it of them, takes somebody for a member: also of some who left. */
  held(): readonly Certificate[] {
    const { gate, self } = this.#components;
    for (const [peerId, { signature }] of this.#remnants)
      if (gate.hasEnded({ peerId, certificateSignature: signature })) this.#remnants.delete(peerId);
    return [...gate.members().filter(({ peerId }) => peerId !== self), ...this.#remnants.values()];
  }

  #others(): readonly PeerId[] {
    const { gate, self } = this.#components;
    return gate.members().flatMap(({ peerId }) => (peerId === self ? [] : [peerId]));
  }
}
