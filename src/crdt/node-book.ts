import { type Coordinate, Listeners, type PeerId } from '../base/index.ts';
import type { Heartbeat, NodeProfile } from './profile.ts';
import { REFUTATION_MS } from './suspicion.ts';

/** What is known of one node. */
export interface NodeEntry {
  readonly peerId: PeerId;
  readonly profile: NodeProfile;
  /** When the last sign of life arrived here, by the own monotonic clock; undefined when none did since the start. Unit: ms. */
  readonly heardAtMs: number | undefined;
  readonly isAlive: boolean;
  readonly coordinate: Coordinate | undefined;
}

interface Known {
  profile: NodeProfile | undefined;
  heartbeat: Heartbeat | undefined;
  heardAtMs: number | undefined;
  /** Since when enough others miss it, by the own monotonic clock. */
  missedSinceMs: number | undefined;
  /** As last told to listeners. */
  wasAlive: boolean;
}

/** A node is silent when three signs of life in a row stayed out, and the next would have had time to arrive. */
const MISSED_HEARTBEATS = 2;
const ARRIVAL_SLACK_MS = 1_000;
const NODES_LIMIT = 10_000;

/** @returns how long after a sign of life a node counts as alive, in ms. */
export function aliveForMs({ periodMs }: Pick<Heartbeat, 'periodMs'>): number {
  return MISSED_HEARTBEATS * periodMs + ARRIVAL_SLACK_MS;
}

/**
 * Who is in the mesh and who was heard lately. Liveness is measured by arrival on the own monotonic clock: a wrong wall clock far away
 * makes nobody dead. Profiles stay when their entries are collected, so that a node that was off for days is still found.
 */
export class NodeBook {
  readonly #self: PeerId;
  readonly #nowMs: () => number;
  readonly #nodes = new Map<PeerId, Known>();
  readonly #sorted = new SortedNames();
  readonly #changed = new Listeners<PeerId>();

  constructor({ self, nowMs }: { readonly self: PeerId; readonly nowMs: () => number }) {
    this.#self = self;
    this.#nowMs = nowMs;
  }

  onChanged(callback: (peerId: PeerId) => void): Disposable {
    return this.#changed.add(callback);
  }

  get aliveCount(): number {
    let count = 0;
    for (const [peerId, known] of this.#nodes) if (this.#isAlive(peerId, known)) count += 1;
    return count;
  }

  entries(): readonly NodeEntry[] {
    const entries: NodeEntry[] = [];
    for (const peerId of this.#sorted.names) {
      const entry = this.entry(peerId);
      if (entry !== undefined) entries.push(entry);
    }
    return entries;
  }

  entry(peerId: PeerId): NodeEntry | undefined {
    const known = this.#nodes.get(peerId);
    if (known?.profile === undefined) return undefined;
    return {
      peerId,
      profile: known.profile,
      heardAtMs: peerId === this.#self ? this.#nowMs() : known.heardAtMs,
      isAlive: this.#isAlive(peerId, known),
      coordinate: known.heartbeat?.coordinate,
    };
  }

  coordinateOf(peerId: PeerId): Coordinate | undefined {
    return this.#nodes.get(peerId)?.heartbeat?.coordinate;
  }

  /** @param profile undefined when it was deleted, or cannot be read here. */
  describe(peerId: PeerId, profile: NodeProfile | undefined): void {
    if (profile === undefined) {
      this.forget(peerId); // else everybody who ever came by would keep a place
      return;
    }
    const known = this.#at(peerId);
    if (known === undefined) return;
    known.profile = profile;
    this.#changed.emit(peerId);
  }

  /** @param isFresh whether it was sent just now; an old one that was caught up on tells where the node stood, not that it lives. */
  hear(peerId: PeerId, heartbeat: Heartbeat, { isFresh }: { readonly isFresh: boolean }): void {
    const known = this.#at(peerId);
    if (known === undefined) return;
    known.heartbeat = heartbeat;
    if (isFresh) known.heardAtMs = this.#nowMs();
    this.#tellLiveness(peerId, known);
  }

  /** @param isMissed whether enough others miss it, after its latest sign of life. It counts as silent when that stays so for {@link REFUTATION_MS}. */
  doubt(peerId: PeerId, isMissed: boolean): void {
    const known = this.#nodes.get(peerId);
    if (known === undefined) return;
    known.missedSinceMs = isMissed ? (known.missedSinceMs ?? this.#nowMs()) : undefined;
    this.#tellLiveness(peerId, known);
  }

  forget(peerId: PeerId): void {
    if (!this.#nodes.delete(peerId)) return;
    this.#sorted.remove(peerId);
    this.#changed.emit(peerId);
  }

  /** Tells listeners of those that fell silent since the last look. */
  sweep(): void {
    for (const [peerId, known] of this.#nodes) this.#tellLiveness(peerId, known);
  }

  #tellLiveness(peerId: PeerId, known: Known): void {
    const isAlive = this.#isAlive(peerId, known);
    if (isAlive === known.wasAlive) return;
    known.wasAlive = isAlive;
    this.#changed.emit(peerId);
  }

  #isAlive(peerId: PeerId, { heartbeat, heardAtMs, missedSinceMs }: Known): boolean {
    if (peerId === this.#self) return true;
    if (heartbeat === undefined || heardAtMs === undefined) return false;
    if (missedSinceMs !== undefined && this.#nowMs() - missedSinceMs >= REFUTATION_MS) return false;
    return this.#nowMs() - heardAtMs <= aliveForMs(heartbeat);
  }

  #at(peerId: PeerId): Known | undefined {
    const known = this.#nodes.get(peerId);
    if (known !== undefined) return known;
    if (this.#nodes.size >= NODES_LIMIT) return undefined;
    const added: Known = {
      profile: undefined,
      heartbeat: undefined,
      heardAtMs: undefined,
      missedSinceMs: undefined,
      wasAlive: false,
    };
    this.#nodes.set(peerId, added);
    this.#sorted.add(peerId);
    return added;
  }
}

/** Kept in order as they come and go: everybody is asked for often, and in a large mesh sorting them anew each time costs most of that. */
class SortedNames {
  readonly names: PeerId[] = [];

  add(name: PeerId): void {
    this.names.splice(this.#placeOf(name), 0, name);
  }

  remove(name: PeerId): void {
    const at = this.#placeOf(name);
    if (this.names[at] === name) this.names.splice(at, 1);
  }

  /** @returns where it is, or would be. */
  #placeOf(name: PeerId): number {
    let [from, to] = [0, this.names.length];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if ((this.names[middle] as PeerId) < name) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}
