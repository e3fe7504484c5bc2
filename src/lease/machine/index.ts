export {
  type Batch,
  type ClientRequest,
  COMMAND_BYTES_LIMIT,
  type Command,
  commandFromWire,
  commandToWire,
  encodeBatch,
  isRequestId,
  REQUEST_ID_LIMIT,
} from './batch.ts';
export { fieldsOf, invalid, parseWith } from './checks.ts';
export { CAPACITY_LIMIT, CLAIM_KINDS, type ClaimKind, RWLOCK_UNITS } from './claim-rules.ts';
export { TAKE_UP_MS } from './claims.ts';
export {
  leaseIdSchema,
  NAME_BYTES_LIMIT,
} from './coordination-checks.ts';
export { COUNTER_PAGE_LIMIT, type Counter, countersModule } from './counters.ts';
export { HOST_MODULE } from './host-module.ts';
export { createKvModule, kvModule } from './kv.ts';
export {
  type HistoryLimits,
  KV_HISTORY_BYTES_LIMIT,
  KV_HISTORY_EVENTS_LIMIT,
  type KvChange,
  textLengthOf,
} from './kv-history.ts';
export {
  type HistoryAnswer,
  type HistoryQuestion,
  isWatched,
  type KeyFilter,
  type KvEvent,
  REVISIONS_PER_EPOCH,
  readHistory,
} from './kv-history-read.ts';
export { KV_SCAN_LIMIT } from './kv-queries.ts';
export { KV_KEY_BYTES_LIMIT, KV_LEASE_KEYS_LIMIT, KV_VALUE_BYTES_LIMIT, type KvEntry } from './kv-records.ts';
export { KV_TXN_OPERATIONS_LIMIT } from './kv-txn.ts';
export {
  type ClaimView,
  LEASE_PAGE_LIMIT,
  type LeaseView,
  type ResourceView,
  viewClaim,
  viewResource,
} from './lease-queries.ts';
export type { Claim } from './lease-records.ts';
export { DROP_LIMIT, leasesModule } from './leases.ts';
export {
  type AppliedEntry,
  MACHINE_VERSION,
  Machine,
  type MachineComponents,
  type MachineStore,
  NotUnderstood,
} from './machine.ts';
export { listMembers, type Member, type MeshRecord, requireRole } from './member-records.ts';
export { membersModule } from './members.ts';
export type {
  ApplyContext,
  CommandKind,
  Derived,
  Fact,
  MachineModule,
  QueryContext,
  QueryKind,
  ReadonlyTable,
  Table,
  TableRange,
  Volume,
} from './module.ts';
export {
  type CommandOutcome,
  fromWireOutcome,
  refused,
  toWireOutcome,
  type WireOutcome,
} from './outcome.ts';
export { type Bucket, rateLimitsModule, type Taken, take as takePermits } from './rate-limits.ts';
export {
  type RootRecord,
  type RootState,
  readRootList,
  readRootRecords,
  readRootState,
} from './root-succession.ts';
export {
  GRANTS_LIMIT,
  readersOf,
  type SecretOpening,
  type SecretRecord,
  type SecretView,
  secretsModule,
} from './secrets.ts';
export { type Endpoint, SERVICE_PAGE_LIMIT, type ServiceView, viewService } from './services.ts';
export { type Session, sessionsModule } from './sessions.ts';
export { encodeState, type MachineState, positionOf, readState, stateKey } from './state.ts';
export { tablesOf, VALUE_BYTES_LIMIT } from './tables.ts';
export { type TicketRecord, ticketRefusal } from './ticket-rules.ts';
