import { DELIVERY_TYPE } from '../jobs/index.ts';

/** Types of jobs that an agent runs by itself, unless its owner names fewer. */
export const BUILT_IN_TYPES = [
  'shell',
  'echo',
  'http',
  'blob',
  'replication',
  'maintenance',
  DELIVERY_TYPE,
] as const;
