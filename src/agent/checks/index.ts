import type { Daemon } from '../daemon.ts';
import type { Check } from '../doctor.ts';
import { groupCheck } from './group-check.ts';

/** Every look that `doctor` takes, in the order in which it tells them. */
export function agentChecks({ node, platform }: Daemon): readonly Check[] {
  return [groupCheck(node), ...(platform.checks?.() ?? [])];
}
