import type { AttemptRecord, JobRecord } from '../record.ts';
import { DELIVERY_TYPE } from './hook.ts';

/** The code of an attempt of which nothing left the node, or nothing could be known of where to: it has no network, or nobody answers it for names. */
export const NO_NETWORK = 'NO_NETWORK';
/** After so many attempts of a delivery its nodes' faults count as its own: no delivery is tried for ever. */
export const SENDER_FAULTS_LIMIT = 100;

/** E6 Whether the node that made the attempt is to blame: it says nothing of the receiver, and costs the delivery none of its attempts. */
export function isSenderFault(
  { spec, attempt }: Pick<JobRecord, 'spec' | 'attempt'>,
  error: AttemptRecord['error'],
): boolean {
  return error?.code === NO_NETWORK && spec.type === DELIVERY_TYPE && attempt <= SENDER_FAULTS_LIMIT;
}
