import type { Round } from './round.ts';

export interface Report {
  readonly schema: 'aspen.lab.run/v1';
  readonly machine: { readonly cores: number; readonly load: readonly number[]; readonly node: string };
  readonly seed: number;
  readonly agents: number;
  readonly rounds: readonly Round[];
  /** Nemeses that could not run here, and why. */
  readonly skipped: readonly { readonly nemesis: string; readonly reason: string }[];
}

export interface Row {
  readonly nemesis: string;
  readonly rounds: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly lost: number;
  readonly stale: number;
  readonly violations: number;
  /** Of one round. */
  readonly mostElections: number;
  readonly mostElectionsAfterHeal: number;
  /** Unit: ms; null where the leader was not taken away. */
  readonly outageP50Ms: number | null;
  readonly outageP99Ms: number | null;
}

/** One row a nemesis, in order of first appearance. */
export function rowsOf(rounds: readonly Round[]): Row[] {
  return [...Map.groupBy(rounds, ({ nemesis }) => nemesis)].map(([nemesis, all]) => {
    const checked = all.flatMap((round) => round.checked);
    const sum = (field: 'acknowledged' | 'unknown' | 'lost' | 'stale'): number =>
      checked.reduce((total, one) => total + one[field], 0);
    const outages = all.flatMap(({ outageMs }) => (outageMs === null ? [] : [outageMs]));
    return {
      nemesis,
      rounds: all.length,
      acknowledged: sum('acknowledged'),
      unknown: sum('unknown'),
      lost: sum('lost'),
      stale: sum('stale'),
      violations: all.reduce((total, { violations }) => total + violations.length, 0),
      mostElections: Math.max(...all.map(({ elections }) => elections)),
      mostElectionsAfterHeal: Math.max(...all.map(({ electionsAfterHeal }) => electionsAfterHeal)),
      outageP50Ms: percentile(outages, 50),
      outageP99Ms: percentile(outages, 99),
    };
  });
}

/** By nearest rank: a value that was measured, never one between. */
export function percentile(values: readonly number[], percent: number): number | null {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? null;
}

export function tableOf({ rounds, skipped, machine, seed, agents }: Report): string {
  const title =
    'nemesis          rounds  acked  unknown  lost  stale  violations  elections  after heal  outage p50/p99 ms';
  const lines = rowsOf(rounds).map((row) =>
    [
      row.nemesis.padEnd(16),
      String(row.rounds).padStart(6),
      String(row.acknowledged).padStart(6),
      String(row.unknown).padStart(8),
      String(row.lost).padStart(5),
      String(row.stale).padStart(6),
      String(row.violations).padStart(11),
      String(row.mostElections).padStart(10),
      String(row.mostElectionsAfterHeal).padStart(11),
      `  ${milliseconds(row.outageP50Ms)}/${milliseconds(row.outageP99Ms)}`,
    ].join(' '),
  );
  const load = machine.load.map((value) => value.toFixed(1)).join(' ');
  return [
    `${agents} agents, seed ${seed}, node ${machine.node}, ${machine.cores} cores, load ${load}`,
    title,
    ...lines,
    ...skipped.map(({ nemesis, reason }) => `not run: ${nemesis}, needs ${reason}`),
  ].join('\n');
}

function milliseconds(value: number | null): string {
  return value === null ? '-' : value.toFixed(0);
}
