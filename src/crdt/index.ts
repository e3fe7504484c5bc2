export type { Bulletin, BulletinVerifier } from './bulletins.ts';
export { createRegistry } from './converging-registry.ts';
export { moved, ORIGIN } from './coordinates.ts';
export { AHEAD_LIMIT_MS, compareHlc, formatHlc, type Hlc, HybridClock } from './hlc.ts';
export { type LinkRow, markOfPeer, type ToldLink } from './link-row.ts';
export type { NodeEntry } from './node-book.ts';
export type { NodeProfile, Progress } from './profile.ts';
export type { JobProgress } from './progress-book.ts';
export { PLAIN_READERS, type RegistryReaders } from './readers.ts';
export type {
  Bulletins,
  Registry,
  RegistryChange,
  RegistryComponents,
  RegistryOptions,
} from './registry.ts';
export type { ReplicatorCounts } from './replicator.ts';
export type { RefutationRule } from './suspicion.ts';
export type { ToldLinkRow } from './whereabouts.ts';
