/** What a machine runs on. */
export type Power = 'mains' | 'battery';

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
}

/** Pure. @returns null where the supplies do not tell: a machine without a battery names none. */
export function powerOf(supplies: readonly PowerSupply[]): Power | null {
  const own = supplies.filter(({ scope }) => scope !== 'Device');
  if (own.some(({ type, isOnline }) => type !== 'Battery' && isOnline)) return 'mains';
  const batteries = own.filter(({ type }) => type === 'Battery');
  if (batteries.some(({ status }) => status === 'Discharging')) return 'battery';
  return batteries.some(({ status }) => status === 'Charging' || status === 'Full') ? 'mains' : null;
}
