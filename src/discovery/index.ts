export {
  BootstrapSource,
  type BootstrapSourceComponents,
  type BootstrapSourceOptions,
} from './bootstrap-source.ts';
export { CandidateBook, type CandidateBookOptions } from './candidate-book.ts';
export { type DnsName, type NamedPlace, type NameLookup, parseDnsName, parsePlace } from './dnsaddr.ts';
export { type KnownPeer, KnownPeers, type KnownPeersMemory, type KnownPeersOptions } from './known-peers.ts';
export { multicastProblem, type NetworkFacts } from './multicast.ts';
export type { Candidate, DiscoverySource } from './source.ts';
export { type Contact, TicketSource } from './ticket-source.ts';
