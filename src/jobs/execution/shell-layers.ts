import {
  type Ask,
  LIMIT_LABELS,
  LIMIT_NAMES,
  SANDBOX_LABEL,
  type StoppedBy,
} from '../../supervisor/index.ts';
import type { ShellPayload } from './shell-payload.ts';

/** What a machine tells of itself stands under this prefix, where nobody can claim it otherwise. */
const OWN = 'aspen/';
/** Any layer holds the limit. */
const ANY_LAYER = 'in(cgroup, prlimit)';
const UNITS = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/**
 * C6. @returns the labels that a node must have to run such a job: its sandbox where it names one, its limits where they are required. Empty for most.
 */
export function requiredLayers({
  sandbox,
  limits,
}: Pick<Partial<ShellPayload>, 'sandbox' | 'limits'>): Readonly<Record<string, string>> {
  const wanted: [string, string][] = sandbox === 'bwrap' ? [[`${OWN}${SANDBOX_LABEL}`, 'true']] : [];
  if (limits?.required === true)
    for (const name of LIMIT_NAMES)
      if (limits[name] !== undefined) wanted.push([`${OWN}${LIMIT_LABELS[name]}`, ANY_LAYER]);
  return Object.fromEntries(wanted);
}

/** What the supervisor is asked to hold the job by. */
export function askOf({ env, sandbox, network, limits: given }: ShellPayload): Ask {
  const { required, ...limits } = given ?? {};
  return {
    variables: Object.keys(env),
    ...(sandbox !== undefined && { sandbox }),
    ...(network !== undefined && { isNetworked: network }),
    ...(given !== undefined && { limits }),
    ...(required === true && { isLimitRequired: true }),
  };
}

/** @returns e.g. `cgroup: memory 64 MiB`. */
export function limitText({ layer, limit, value }: StoppedBy): string {
  const what = {
    memoryBytes: () => `memory ${bytesText(value)}`,
    cpuSeconds: () => `processor time ${value} s`,
    pids: () => `${value} processes`,
    fileBytes: () => `file size ${bytesText(value)}`,
  }[limit];
  return `${layer}: ${what()}`;
}

/** In the largest unit in which it is whole. */
function bytesText(bytes: number): string {
  let [count, unit] = [bytes, 0];
  while (count >= 1024 && count % 1024 === 0 && unit < UNITS.length - 1)
    [count, unit] = [count / 1024, unit + 1];
  return `${count} ${UNITS[unit]}`;
}
