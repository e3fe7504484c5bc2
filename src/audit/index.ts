export type { AuditFiles } from './audit-files.ts';
export { AuditLog, type AuditLogComponents, type AuditLogOptions, RECENT_LIMIT } from './audit-log.ts';
export type { AuditEvent, AuditRecord } from './chain.ts';
export { MemoryAuditFiles } from './memory-audit-files.ts';
export type { Break, Verified } from './walk.ts';
