import type { PeerId } from '../base/index.ts';

/** One member of the mesh, as the leader sees it. */
export interface MemberObservation {
  readonly peerId: PeerId;
  /** Has the role of a voter and was not revoked. */
  readonly isEligible: boolean;
  readonly isConnected: boolean;
  /** How long it has been connected, or not connected. Unit: ms. */
  readonly stateForMs: number;
  /** Failure domain; null when nobody said. */
  readonly zone: string | null;
  /** Runs from its battery now. @default not known to */
  readonly isOnBattery?: boolean;
  /** Says an address that is reachable from anywhere. @default not known to */
  readonly isPublic?: boolean;
  /** How long its process has run, by its own word. Unit: ms. @default not known */
  readonly upForMs?: number;
  /** How often it was started in its life, by its own word. @default not known */
  readonly startCount?: number;
}

/** What a member's own word tells of it. */
export type PeerTraits = Pick<
  MemberObservation,
  'zone' | 'isOnBattery' | 'isPublic' | 'upForMs' | 'startCount'
>;
