import type { PeerId, Startable } from '../base/index.ts';
import type { Thrift } from './keepalive-rules.ts';

/** Which queue a frame waits in; a fuller queue of a later kind never delays an earlier one. */
export type Priority = 'raft' | 'control' | 'bulk';

/** What the gate says of a peer that the handshake has identified. */
export type Standing = 'member' | 'stranger' | 'refused';

/** A frame longer than this closes the channel it came on. */
export const FRAME_BYTES_LIMIT = 4 * 2 ** 20;

/** Most bytes of a gossip message. */
export const GOSSIP_BYTES_LIMIT = 64 * 2 ** 10;

/** Most bytes of an admission request, and of its answer. */
export const ADMISSION_BYTES_LIMIT = 4 * 2 ** 10;

/** How long a stranger may take to say what it wants; then it is disconnected. Unit: ms. */
export const ADMISSION_REQUEST_MS = 3_000;

/** How long the answer may take: redeeming a ticket waits for the group. Unit: ms. */
export const ADMISSION_ANSWER_MS = 10_000;

/** In the details of an UNAVAILABLE, as `reason`: the peer is there, it was connected and hung up before it answered. */
export const HUNG_UP = 'hung-up';

export interface PeerLink {
  readonly peerId: PeerId;
  /** Address the connection uses; for people. */
  readonly address: string;
  readonly path: 'direct' | 'relay';
  /** Smoothed round trip, in ms; undefined before the first measurement. */
  readonly rttMs: number | undefined;
  /** Wall time. */
  readonly since: number;
  /** What carries it, e.g. `tcp`. @default nobody can tell */
  readonly carrier?: string;
  /** Why it goes over a relay; for people. @default nobody can tell */
  readonly why?: string;
  /** Of the channel since it was opened, headers of segments included. @default not counted */
  readonly bytesIn?: number;
  readonly bytesOut?: number;
  /** Z5 The peer was asked and has not answered: the path may be dead and is not to be called up. @default it is not */
  readonly isQuiet?: boolean;
  /** For how long nothing was heard from the peer, to a tick of the keep-alive. Unit: ms. @default nobody counts */
  readonly unheardMs?: number;
}

export type AdmissionResponder = (from: PeerId, request: Uint8Array) => Promise<Uint8Array>;

/** What strangers ask of this node. */
export interface StrangerCounts {
  /** Handshakes under way. */
  readonly handshakes: number;
  /** Connections that were closed for want of a place, since the start. */
  readonly turnedAway: number;
}

/**
 * Moves frames between nodes and says who is connected. One long-lived channel per pair of members carries everything.
 *
 * - T1 A frame may be lost, doubled or overtaken by another; it is never changed, and its sender is who it says.
 * - T2 A `stranger` gets the admission exchange and nothing else; a `refused` peer gets one answer in its place, of those who are there to dismiss it.
 * - T3 Nothing grows without a limit: `send` returns false when the peer's queue is full or no channel is open, and the frame is dropped.
 * - T4 While a process is linked and alive, no other one with the same identity takes its place.
 */
export interface Transport extends Startable {
  readonly self: PeerId;
  /** Own addresses that others may try. */
  addresses(): readonly string[];
  /**
   * Connects unless connected; resolves when the channel is open (the gate has admitted both ways). Addresses may be circuits over members:
   * they are tried where the relay is linked, after the direct ones.
   */
  dial(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void>;
  hangUp(peerId: PeerId, reason: string): void;
  /**
   * Z3, Z4 This node slept or is in another network: asks every link for a sign of life and ends those that give none within 1.5 s;
   * addresses that failed no longer rest. @default paths never die in silence
   */
  verify?(): void;
  /**
   * Z5 Asks every link for a sign of life; resolves when each has given one, or is called quiet, within a second.
   * @param unheardMs those that were heard later than so long ago are not asked. @default all are
   * @default nothing is quiet
   */
  confirm?(unheardMs?: number): Promise<void>;
  /** Z8 How often idle links are asked for a sign of life follows what their ends have to save. @default nothing is saved */
  spare?(thriftOf: (peerId: PeerId) => Thrift): void;
  /** Absent where every node reaches every other one, as in simulations. */
  readonly reach?: Reaching;
  /** Absent where nobody can tell. */
  readonly knocking?: Knocking;
  /** What people should know, one sentence each: identities that run twice. @default nothing */
  problems?(): readonly string[];
  /** How many strangers are at the door, and were turned away. @default nobody counts */
  strangers?(): StrangerCounts;
  links(): readonly PeerLink[];
  isLinked(peerId: PeerId): boolean;
  send(to: PeerId, frame: Uint8Array, priority: Priority): boolean;
  onFrame(callback: (from: PeerId, frame: Uint8Array) => void): Disposable;
  onLink(
    callback: (event: { readonly peerId: PeerId; readonly type: 'opened' | 'closed' }) => void,
  ): Disposable;
  /**
   * The one exchange a stranger may have: at most 4 KiB each way, the request within 3 s, the answer within 10 s. Dials if needed.
   * Rejects with UNAVAILABLE, DEADLINE_EXCEEDED, or DENIED where a gate refuses.
   */
  admission: {
    ask(
      peerId: PeerId,
      addresses: readonly string[],
      request: Uint8Array,
      signal?: AbortSignal,
    ): Promise<Uint8Array>;
    /** @param dismiss answers whom the gate refuses, within the same limits. @default they get nothing */
    answer(responder: AdmissionResponder, dismiss?: AdmissionResponder): Disposable;
  };
  gossip: {
    /** At most 64 KiB; reaches most members soon, some perhaps never: whoever needs more runs anti-entropy. */
    publish(topic: string, message: Uint8Array): void;
    /** `relayedBy` is the neighbour, not the author: authors sign inside the message. Return false to stop a bad message from spreading. */
    subscribe(topic: string, callback: (message: Uint8Array, relayedBy: PeerId) => boolean): Disposable;
  };
}

/** Ways beyond direct links. */
export interface Reaching {
  /** Whether this node carries circuits between members that are linked to it. @default it does not */
  offerCircuits(isOffered: boolean): void;
  /** How many it carries now. */
  carriedCount(): number;
  /**
   * Looks for a direct way to a peer that is linked over a circuit, and moves the link there; nothing is lost and no link event is told (P1).
   * Resolves at once when the peer is not linked over a circuit. Rejects when no address leads to it directly.
   */
  upgrade(peerId: PeerId, addresses: readonly string[], signal?: AbortSignal): Promise<void>;
  /** Whether somebody came from a public address, by itself or because it was asked to. */
  wasReached(): boolean;
  /**
   * Learns under which address a fresh local port is seen, from a member that is linked directly.
   * Rejects with UNAVAILABLE when it does not say.
   */
  openHole(observer: PeerId, signal: AbortSignal): Promise<Hole>;
  /** Whether holes are made by QUIC as well, and why not; for people. @default they are not */
  quic?(): Promise<QuicState>;
  /** A fresh UDP port. Rejects with UNAVAILABLE when there is no QUIC here. @default there is none */
  openUdpHole?(part: HolePart): Promise<UdpHole>;
}

/** Which part one of the two ends of a hole by QUIC plays: one calls, the other one listens for that call. */
export type HolePart = 'calls' | 'answers';

export interface QuicState {
  readonly isSo: boolean;
  /** Whether the owner lets it. */
  readonly isWanted: boolean;
  readonly detail: string;
}

/** Where datagrams go. */
export interface UdpPlace {
  readonly host: string;
  readonly port: number;
}

/** A port of a member that waits for a datagram, to tell from where it came. */
export interface Ear extends UdpPlace {
  readonly token: Uint8Array;
}

/** A local UDP port, to be seen by an ear first. */
export interface UdpHole extends Disposable {
  /** Sends something to an ear: the token, or the first datagram of a QUIC connection where only that leaves from the port. */
  show(ear: Ear): void;
  /**
   * Makes a connection with a peer that does the same at the same time, and moves the link to it there. Nobody else gets in, and after a few
   * seconds nobody at all. Rejects with UNAVAILABLE when nothing comes through.
   * @param place where the port of the peer is seen.
   */
  through(peerId: PeerId, place: UdpPlace, signal: AbortSignal): Promise<void>;
}

/** How a node learns whether it is reached, before it says so. */
export interface Knocking {
  /** Connects to a peer at one address, from a fresh port, and hangs up. Rejects when it is not there. */
  knock(peerId: PeerId, address: string, signal: AbortSignal): Promise<void>;
  /** @returns when a member last came from elsewhere, by itself, by the monotonic clock; undefined when it did not. */
  knockedAtMs(peerId: PeerId): number | undefined;
  /** Somebody came to one of these addresses, from elsewhere and by itself: this node is reached while it has one of them. */
  markReached(addresses: readonly string[]): void;
  /** Where it is reached beside the addresses of its interfaces, e.g. at a port that a router opened. */
  tellAlso(addresses: readonly string[]): void;
}

/** A local port whose address outside is known. */
export interface Hole extends Disposable {
  /** As the observer sees it: `/ip4/.../tcp/...`. */
  readonly address: string;
  /**
   * Connects from that port to a peer that does the same at the same time, and moves the link to it there.
   * @param isInitiator true at exactly one of the two; it moves the link. Rejects with UNAVAILABLE when it is not let through.
   */
  through(
    peerId: PeerId,
    address: string,
    how: { readonly isInitiator: boolean; readonly signal: AbortSignal },
  ): Promise<void>;
}

/** Who may speak; consulted by the transport at every new connection and stream. */
export interface Gate {
  standingOf(peerId: PeerId): Standing;
  onChange(callback: (peerId: PeerId) => void): Disposable;
}
