export {
  ADDRESS_RECORD_BYTES_LIMIT,
  type AddressRecord,
  type AddressRecordVerifier,
  addressRecordName,
  meshRecordName,
  signAddressRecord,
  verifyAddressRecord,
} from './address-record.ts';
export { Admission, type AdmissionComponents, type Redemption } from './admission.ts';
export type { AttemptBudgetOptions } from './attempt-budget.ts';
export {
  CERTIFICATE_BYTES_LIMIT,
  type Certificate,
  type CertificateFacts,
  certificateHash,
  encodeCertificate,
  type RootSigner,
  type RootVerifier,
  readCertificate,
  signCertificate,
  verifyCertificate,
} from './certificate.ts';
export { isCircuit } from './circuit-address.ts';
export { Connector, type ConnectorComponents, type ConnectorOptions } from './connector.ts';
export { type Departure, departureKey, signDeparture, verifyDeparture } from './departure.ts';
export { DialBack, type DialBackComponents } from './dial-back.ts';
export type { DialBackOutcome } from './dial-back-rules.ts';
export { type Discharge, signDischarge, verifyDischarge } from './discharge.ts';
export {
  type GateComponents,
  type GateMemory,
  type GateOptions,
  MembershipGate,
  VolatileGateMemory,
} from './gate.ts';
export { createIdentity, type Identity, isPeerId, peerIdOf, publicKeyOf } from './identity.ts';
export { type Thrift, thriftyPause } from './keepalive-rules.ts';
export type { LinkableMember } from './link-rules.ts';
export { MemoryNetwork, type MemoryNetworkComponents, type NetworkPolicy } from './memory-network.ts';
export {
  MemoryTransport,
  type MemoryTransportComponents,
  type MemoryTransportOptions,
} from './memory-transport.ts';
export { Mesh, type MeshComponents, type MeshOptions } from './mesh.ts';
export { isMeshId, meshIdOf } from './mesh-id.ts';
export type { HandleOptions, Incoming, Messenger, RequestOptions } from './messenger.ts';
export { OnDemand, type OnDemandComponents, type Requester } from './on-demand.ts';
export { type OwnEnd, type OwnRevocation, REVOKED_WAY_OUT, RevokedError } from './own-revocation.ts';
export {
  authorityOf,
  PROXY_AUTO,
  PROXY_OFF,
  type ProxySettings,
  parseProxy,
  proxyFor,
  proxySettingsOf,
  proxyText,
} from './proxy-rules.ts';
export { isPublicAddress } from './public-address.ts';
export type { KnownMember, ReachOptions } from './reach.ts';
export type { Reachability, RelaySetting } from './reach-rules.ts';
export {
  encodeRevocation,
  REVOCATION_BYTES_LIMIT,
  type Revocation,
  signRevocation,
  verifyRevocation,
} from './revocation.ts';
export { isRole, ROLES, type Role, roleAllows } from './roles.ts';
export {
  decodeRootEntry,
  encodeRootEntry,
  ROOT_ENTRY_BYTES_LIMIT,
  RootBook,
  type RootBookOptions,
  type RootEntry,
} from './root-book.ts';
export { RootExchange, type RootExchangeComponents } from './root-exchange.ts';
export {
  decodeRootList,
  encodeRootList,
  isOnRootList,
  proveOnRootList,
  ROOT_LIST_BYTES_LIMIT,
  ROOT_LIST_ENTRIES_LIMIT,
  type RootListEntry,
  type RootListProof,
  rootListDigest,
} from './root-list.ts';
export { Roots, type RootsChange, type RootsOptions } from './roots.ts';
export {
  decodeSuccession,
  encodeSuccession,
  SUCCESSION_BYTES_LIMIT,
  SUCCESSION_REVOKED_LIMIT,
  SUCCESSION_VOTERS_LIMIT,
  SUCCESSION_VOUCHERS_LIMIT,
  type Succession,
  type SuccessionFacts,
  signSuccession,
  signVouch,
  successionDigest,
  type Vouch,
} from './succession.ts';
export {
  decodeTicket,
  encodeTicket,
  secretHash,
  signTicket,
  TICKET_ADDRESSES_LIMIT,
  TICKET_MEMBERS_LIMIT,
  TICKET_SECRET_BYTES,
  type Ticket,
  type TicketFacts,
  type TicketGrant,
  type TicketMember,
  ticketFacts,
} from './ticket.ts';
export {
  ADMISSION_ANSWER_MS,
  ADMISSION_BYTES_LIMIT,
  ADMISSION_REQUEST_MS,
  FRAME_BYTES_LIMIT,
  type Gate,
  GOSSIP_BYTES_LIMIT,
  type PeerLink,
  type Priority,
  type QuicState,
  type Standing,
  type StrangerCounts,
  type Transport,
} from './transport.ts';
export {
  type MessengerComponents,
  type MessengerOptions,
  TransportMessenger,
} from './transport-messenger.ts';
export { OBSERVE_METHODS, TOKEN_BYTES } from './udp-ear.ts';
export { isQuicInitial } from './udp-hole-rules.ts';
export { honouredRevocations, isVouchedFor, nextWitnesses } from './witness-rules.ts';
export { WitnessWatch, type WitnessWatchComponents } from './witness-watch.ts';
export { isWebSocket, parseWsAddress } from './ws-address.ts';
