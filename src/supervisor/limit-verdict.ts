import type { LimitLayer, LimitName, Plan } from './confinement.ts';
import type { ProcessExit } from './runner.ts';

/** A limit that ended a process, and the layer that held it. Plain JSON. */
export interface StoppedBy {
  readonly layer: LimitLayer;
  readonly limit: LimitName;
  /** Unit: that of the limit. */
  readonly value: number;
}

/** What is known of an attempt beside how its leader ended. */
export interface Evidence {
  readonly plan: Pick<Plan, 'limits' | 'holders'>;
  readonly events: { readonly oomKills: number; readonly refusedForks: number };
}

/** What shells and sandboxes answer for a child that a signal ended: 128 and its number. */
const EXIT_OF_SIGNAL = { SIGXCPU: 152, SIGXFSZ: 153 } as const;

/**
 * C5. A limit is named when its layer says that it was met: of memory, where the attempt failed, since one that begins anew after a part of it was killed
 * may succeed; of processes always, since shells go on without what they could not begin.
 */
export function stoppedByOf(exit: ProcessExit, { plan, events }: Evidence): StoppedBy | undefined {
  const hasFailed = exit.exitCode !== 0;
  const by = (limit: LimitName): StoppedBy | undefined => {
    const [layer, value] = [plan.holders[limit], plan.limits[limit]];
    return layer === undefined || value === undefined ? undefined : { layer, limit, value };
  };
  const died = (signal: keyof typeof EXIT_OF_SIGNAL) =>
    exit.signal === signal || exit.exitCode === EXIT_OF_SIGNAL[signal];
  if (events.oomKills > 0 && hasFailed) return by('memoryBytes');
  if (events.refusedForks > 0) return by('pids');
  if (died('SIGXCPU')) return by('cpuSeconds');
  if (died('SIGXFSZ')) return by('fileBytes');
  return undefined;
}
