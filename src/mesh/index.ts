export { Admission, type AdmissionComponents, type Redemption } from './admission.ts';
export type { AttemptBudgetOptions } from './attempt-budget.ts';
export {
  CERTIFICATE_BYTES_LIMIT,
  type Certificate,
  type CertificateFacts,
  encodeCertificate,
  signCertificate,
  verifyCertificate,
} from './certificate.ts';
export { Connector, type ConnectorComponents, type ConnectorOptions } from './connector.ts';
export {
  type GateComponents,
  type GateMemory,
  type GateOptions,
  MembershipGate,
  VolatileGateMemory,
} from './gate.ts';
export { createIdentity, type Identity, isPeerId, peerIdOf, publicKeyOf } from './identity.ts';
export { MemoryNetwork, type MemoryNetworkComponents, type NetworkPolicy } from './memory-network.ts';
export {
  MemoryTransport,
  type MemoryTransportComponents,
  type MemoryTransportOptions,
} from './memory-transport.ts';
export { Mesh, type MeshComponents, type MeshOptions } from './mesh.ts';
export { isMeshId, meshIdOf } from './mesh-id.ts';
export type { HandleOptions, Incoming, Messenger, RequestOptions } from './messenger.ts';
export { isPublicAddress } from './public-address.ts';
export {
  encodeRevocation,
  REVOCATION_BYTES_LIMIT,
  type Revocation,
  signRevocation,
  verifyRevocation,
} from './revocation.ts';
export { isRole, ROLES, type Role, roleAllows } from './roles.ts';
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
  type Standing,
  type Transport,
} from './transport.ts';
export {
  type MessengerComponents,
  type MessengerOptions,
  TransportMessenger,
} from './transport-messenger.ts';
