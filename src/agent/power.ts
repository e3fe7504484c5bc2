import type { Thrift } from '../mesh/index.ts';

/** What a machine runs on. */
export type Power = 'mains' | 'battery';

/** The same with what is left; null where nobody can tell. */
export interface MachinePower {
  readonly source: Power | null;
  /** Of its batteries together. Unit: percent. */
  readonly chargePercent: number | null;
}

export const UNKNOWN_POWER: MachinePower = { source: null, chargePercent: null };
/** Below so much a battery is spared before all. Unit: percent. */
const SCARCE_PERCENT = 20;

/** One supply as the system describes it, e.g. a directory of `/sys/class/power_supply`. */
export interface PowerSupply {
  /** `Mains`, `USB`, `Battery`, ... */
  readonly type: string;
  /** Of a battery: `Discharging`, `Charging`, `Full`, ... */
  readonly status: string | null;
  /** Of anything else: whether it gives power now. */
  readonly isOnline: boolean;
  /** `Device` for what powers only itself, such as a mouse. */
  readonly scope: string | null;
  /** Of a battery; null where it does not tell. Unit: percent. */
  readonly capacityPercent: number | null;
}

/** Pure. */
export function machinePowerOf(supplies: readonly PowerSupply[]): MachinePower {
  return { source: powerOf(supplies), chargePercent: chargeOf(supplies) };
}

/** Pure. Z8 What a link has to save: both of its ends wake for each question, whoever asks. */
export function thriftOf({ source, chargePercent }: MachinePower, peer: Power | undefined): Thrift {
  if (source === 'battery' && chargePercent !== null && chargePercent < SCARCE_PERCENT) return 'scarce';
  return source === 'battery' || peer === 'battery' ? 'saving' : 'none';
}

/** @returns the mean of those that tell, as the machine lasts about as long. */
function chargeOf(supplies: readonly PowerSupply[]): number | null {
  const charges = supplies.flatMap(({ type, scope, capacityPercent }) =>
    type === 'Battery' && scope !== 'Device' && capacityPercent !== null ? [capacityPercent] : [],
  );
  if (charges.length === 0) return null;
  return Math.round(charges.reduce((sum, charge) => sum + charge, 0) / charges.length);
}

/** Pure. @returns null where the supplies do not tell: a machine without a battery names none. */
export function powerOf(supplies: readonly PowerSupply[]): Power | null {
  const own = supplies.filter(({ scope }) => scope !== 'Device');
  if (own.some(({ type, isOnline }) => type !== 'Battery' && isOnline)) return 'mains';
  const batteries = own.filter(({ type }) => type === 'Battery');
  if (batteries.some(({ status }) => status === 'Discharging')) return 'battery';
  return batteries.some(({ status }) => status === 'Charging' || status === 'Full') ? 'mains' : null;
}
