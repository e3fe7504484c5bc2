export {
  type AddressPolicy,
  ALLOWED_NETWORKS_LIMIT,
  addressPolicy,
  isPublicAddress,
  parseNetwork,
} from './address-rules.ts';
export {
  BlobExecutor,
  type BlobExecutorComponents,
  type BlobJob,
  copyTo,
  parseBlobJob,
} from './blob-executor.ts';
export type { Algorithm, Codecs, Format } from './codecs.ts';
export { type HookComponents, HookExecutor } from './hook-executor.ts';
export type { HttpBody, HttpClient, HttpRequest, HttpResponse } from './http-client.ts';
export { type HttpComponents, HttpExecutor, type HttpResult } from './http-executor.ts';
export { type HttpPayload, isStatusIn, parseHttpPayload } from './http-payload.ts';
export {
  type MaintenanceComponents,
  MaintenanceExecutor,
  parseMaintenanceJob,
} from './maintenance-executor.ts';
export {
  type BackupTaker,
  parseReplicationJob,
  type ReplicationComponents,
  ReplicationExecutor,
} from './replication-executor.ts';
export { hmacSha256, signatureOf } from './signing.ts';
export { WorkerHealth } from './worker-health.ts';
