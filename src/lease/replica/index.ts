export type { AppliedEvent, ReplicaComponents, ReplicaOptions } from './core.ts';
export { Replica } from './replica.ts';
