import { holdersOf, type Layers, type WorkPolicy } from './confinement.ts';

/** The label that a machine with a working sandbox has. */
export const SANDBOX_LABEL = 'sandbox.bwrap';
/** By limit: the label whose value names the layer that holds it. */
export const LIMIT_LABELS = {
  memoryBytes: 'limits.memory',
  cpuSeconds: 'limits.cpu',
  pids: 'limits.processes',
  fileBytes: 'limits.files',
} as const;

/** What jobs may ask a machine for, as labels without a prefix: a layer that is not there is no label. */
export function layerLabels(layers: Layers, policy: WorkPolicy): Readonly<Record<string, string>> {
  const isSandboxed = policy.sandbox.layer === 'bwrap' && layers.bwrap !== null;
  const holders = holdersOf(layers, { isSandboxed, hasOwnUser: policy.user !== null });
  const limits = Object.entries(holders).map(([name, layer]) => [
    LIMIT_LABELS[name as keyof typeof LIMIT_LABELS],
    layer,
  ]);
  return Object.fromEntries([...(layers.bwrap === null ? [] : [[SANDBOX_LABEL, 'true']]), ...limits]);
}
