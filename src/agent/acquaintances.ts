import { AspenError, type Crypto, estimateRttMs, type Logger, type PeerId } from '../base/index.ts';
import type { Registry } from '../crdt/index.ts';
import type { Group } from '../lease/index.ts';
import {
  type Certificate,
  departureKey,
  type KnownMember,
  type LinkableMember,
  type MembershipGate,
  type Role,
  roleAllows,
  verifyDeparture,
} from '../mesh/index.ts';
import { DEPARTURES, isEndedBy } from './membership-links.ts';

export interface AcquaintancesComponents {
  readonly self: PeerId;
  readonly crypto: Crypto;
  readonly gate: MembershipGate;
  readonly log: Logger;
  /** Made after this part, and asked only once they are there. */
  readonly registry: () => Registry;
  readonly group: () => Pick<Group, 'status'>;
  /** To whom this node is linked. */
  readonly connected: () => readonly PeerId[];
}

type MemberFact = { readonly module: string; readonly type: string; readonly peerId?: unknown };

/** The other members as the parts of this node ask for them: who is known, who decides, who works, and who has left. */
export class Acquaintances {
  readonly #components: AcquaintancesComponents;
  /** Who left since this node started, and was not admitted again. */
  readonly #departed = new Set<PeerId>();

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
    if (this.#departed.has(owner)) return; // it left: what others still hold of it says nothing new
    try {
      const shown = gate.verify(certificate);
      if (shown.peerId === owner && !this.#hasTakenLeave(shown)) gate.admit(certificate);
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
      if (type === 'admitted') this.#departed.delete(peerId as PeerId);
    }
  };

  /** It said itself that it has left: what others still hold of it says nothing new. */
  #hasTakenLeave({ peerId, signature }: Certificate): boolean {
    const { registry, gate, crypto } = this.#components;
    const membership = departureKey({ peerId, certificateSignature: signature });
    const told = registry()
      .bulletins.all(DEPARTURES)
      .find(({ key }) => key === membership);
    const departure = told && verifyDeparture({ crypto, meshId: gate.meshId }, told.bytes);
    return departure !== undefined && isEndedBy({ signature }, departure);
  }

  #others(): readonly PeerId[] {
    const { gate, self } = this.#components;
    return gate.members().flatMap(({ peerId }) => (peerId === self ? [] : [peerId]));
  }
}
