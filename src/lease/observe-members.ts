import type { Clock, PeerId } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import type { Member } from './machine/index.ts';
import type { MemberObservation, PeerTraits } from './member-observation.ts';

/** Remembers since when each peer is connected or not, so that the leader can tell a blink from an absence. */
export class ConnectionWatch implements Disposable {
  readonly #clock: Clock;
  readonly #self: PeerId;
  readonly #messenger: Messenger;
  readonly #changedAtMs = new Map<PeerId, number>();
  readonly #subscription: Disposable;
  readonly #startedAtMs: number;

  constructor({ messenger, clock }: { readonly messenger: Messenger; readonly clock: Clock }) {
    this.#clock = clock;
    this.#self = messenger.self;
    this.#messenger = messenger;
    this.#startedAtMs = clock.monotonicMs();
    this.#subscription = messenger.onPeer(({ peerId }) => {
      this.#changedAtMs.set(peerId, clock.monotonicMs());
    });
  }

  /** @param traitsOf what a peer told of itself. */
  observe(members: readonly Member[], traitsOf: (peerId: PeerId) => PeerTraits): MemberObservation[] {
    const connected = new Set(this.#messenger.connected());
    const nowMs = this.#clock.monotonicMs();
    return members
      .filter(({ revokedAtMs }) => revokedAtMs === null)
      .map(({ peerId, role }) => ({
        peerId,
        isEligible: role === 'voter',
        isConnected: peerId === this.#self || connected.has(peerId),
        stateForMs: nowMs - (this.#changedAtMs.get(peerId) ?? this.#startedAtMs),
        ...traitsOf(peerId),
      }));
  }

  [Symbol.dispose](): void {
    this.#subscription[Symbol.dispose]();
  }
}
