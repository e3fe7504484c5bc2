export type { Candidate, DiscoverySource } from './source.ts';
