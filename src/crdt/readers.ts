import type { Item } from './anti-entropy.ts';
import { type Entry, fromWire } from './entry.ts';
import { decodeHeartbeat, decodeProfile, type Heartbeat, type NodeProfile } from './profile.ts';
import { decodeGossip } from './wire.ts';

/**
 * How foreign values become what the registry holds; each gives undefined for what has not its shape, and says nothing about signatures. What
 * comes out is equal for equal input, and nobody changes it: where many nodes live in one process, all of them may be given one copy.
 */
export interface RegistryReaders {
  readonly entry: (foreign: unknown) => Entry | undefined;
  readonly profile: (bytes: Uint8Array) => NodeProfile | undefined;
  readonly heartbeat: (bytes: Uint8Array) => Heartbeat | undefined;
  readonly gossip: (bytes: Uint8Array) => readonly Item[] | undefined;
}

export const PLAIN_READERS: RegistryReaders = {
  entry: fromWire,
  profile: decodeProfile,
  heartbeat: decodeHeartbeat,
  gossip: decodeGossip,
};
