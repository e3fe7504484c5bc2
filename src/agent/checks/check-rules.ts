import { isWorthCompacting, type StoreSpace } from '../../storage/index.ts';
import type { Finding } from '../doctor.ts';
import type { MachinePower } from '../power.ts';

/** Clocks that differ by more are told; what is more than {@link CLOCK_FAIL_MS} apart is refused by the registry of others. Unit: ms. */
export const CLOCK_WARN_MS = 500;
export const CLOCK_FAIL_MS = 60_000;

/** A disk that syncs slower makes every write wait; much slower, and leaders are taken for dead. Unit: ms. */
export const SYNC_WARN_MS = 30;
export const SYNC_FAIL_MS = 500;

const GIB = 2 ** 30;
const MIB = 2 ** 20;

export interface SeenClock {
  readonly name: string;
  readonly aheadMs: number;
  /** What the measurement may be off, twice. */
  readonly rttMs: number;
}

/** Whose clock is off, where most agree; this node's own when it differs from most. */
export function judgeClocks(clocks: readonly SeenClock[]): Finding {
  const name = 'clock.skew';
  if (clocks.length === 0) {
    return { name, status: 'ok', detail: 'unknown: no other member is linked to compare with', mend: null };
  }
  const all = [0, ...clocks.map(({ aheadMs }) => aheadMs)].toSorted((left, right) => left - right); // the own one is one of them
  const median = all[Math.floor((all.length - 1) / 2)] as number;
  const worst = clocks.toSorted((left, right) => surely(right) - surely(left))[0] as SeenClock;
  const mostMs = surely(worst);
  const detail = `this clock is ${describe(-median)} most of ${clocks.length} members`;
  if (mostMs < CLOCK_WARN_MS) return { name, status: 'ok', detail, mend: null };
  const isOwn = Math.abs(median) >= CLOCK_WARN_MS;
  return {
    name,
    status: mostMs >= CLOCK_FAIL_MS ? 'fail' : 'warn',
    detail: isOwn ? detail : `the clock of ${worst.name} is ${describe(worst.aheadMs)} this one`,
    mend: `set the clock ${isOwn ? 'of this machine' : `of ${worst.name}`} by NTP, e.g. timedatectl set-ntp true`,
  };
}

/** What is left when the way of the answer may have taken all of the time. */
function surely({ aheadMs, rttMs }: SeenClock): number {
  return Math.max(0, Math.abs(aheadMs) - rttMs / 2);
}

function describe(aheadMs: number): string {
  const text =
    Math.abs(aheadMs) < 10_000 ? `${Math.abs(aheadMs)} ms` : `${Math.round(Math.abs(aheadMs) / 1_000)} s`;
  if (Math.abs(aheadMs) < 2) return 'in step with';
  return aheadMs > 0 ? `${text} ahead of` : `${text} behind`;
}

export function judgeVersions(
  own: string,
  nodes: readonly { readonly name: string; readonly version: string }[],
): Finding {
  const name = 'versions.spread';
  const versions = new Map<string, string[]>();
  for (const node of nodes) versions.set(node.version, [...(versions.get(node.version) ?? []), node.name]);
  if (versions.size <= 1) return { name, status: 'ok', detail: `all that live run ${own}`, mend: null };
  const told = [...versions].map(
    ([version, names]) =>
      `${version} on ${names.slice(0, 3).join(', ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`,
  );
  return {
    name,
    status: 'warn',
    detail: told.join('; '),
    mend: 'bring all to the newest version, one after the other: what is new is used once all understand it',
  };
}

/** A battery is no fault; what follows from it is worth knowing. */
export function judgePower({ source, chargePercent }: MachinePower): Finding {
  const name = 'machine.power';
  if (source === null)
    return { name, status: 'ok', detail: 'unknown: the system tells of no battery', mend: null };
  if (source === 'mains') return { name, status: 'ok', detail: 'on mains', mend: null };
  const left = chargePercent === null ? '' : `, ${chargePercent} % left`;
  const detail = `on battery${left}: idle links are asked for a sign of life less often, and other nodes vote before this one`;
  return { name, status: 'ok', detail, mend: null };
}

/** @param syncMs how long each of several small synced writes took. */
export function judgeSyncs(syncMs: readonly number[]): Finding {
  const sorted = syncMs.toSorted((left, right) => left - right);
  const quantile = (share: number) =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  const [p50, p99] = [quantile(0.5), quantile(0.99)];
  const detail = `${syncMs.length} synced writes: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
  const name = 'disk.sync';
  if (p50 < SYNC_WARN_MS && p99 < SYNC_FAIL_MS) return { name, status: 'ok', detail, mend: null };
  return {
    name,
    status: p50 >= SYNC_FAIL_MS ? 'fail' : 'warn',
    detail,
    mend: 'put the data directory on a faster disk (--data-dir), or keep this node from voting: aspen-agent ticket create --role worker',
  };
}

export function judgeSpace({
  freeBytes,
  totalBytes,
}: {
  readonly freeBytes: number;
  readonly totalBytes: number;
}): Finding {
  const [unit, of] = freeBytes < GIB ? ['MiB', MIB] : ['GiB', GIB];
  const detail = `${(freeBytes / of).toFixed(1)} of ${(totalBytes / of).toFixed(1)} ${unit} free`;
  const name = 'disk.space';
  if (freeBytes >= GIB) return { name, status: 'ok', detail, mend: null };
  return {
    name,
    status: freeBytes < 64 * MIB ? 'fail' : 'warn',
    detail,
    mend: 'make room, or set a smaller blobQuota in aspen.yaml; a full disk makes the node stand aside until there is room',
  };
}

/** So much, where it is more than half of the store, is worth being told of. Unit: bytes. */
const STORE_FREE_WARN_BYTES = 256 * MIB;

/** A store keeps the size that it once had: what is free in it serves itself alone. */
export function judgeStore(space: StoreSpace): Finding {
  const { fileBytes, freeBytes } = space;
  const detail = `${(freeBytes / MIB).toFixed(1)} of ${(fileBytes / MIB).toFixed(1)} MiB of the store are free`;
  const name = 'disk.store';
  const isMuch = freeBytes >= STORE_FREE_WARN_BYTES && freeBytes > fileBytes / 2;
  if (!isMuch || !isWorthCompacting(space)) return { name, status: 'ok', detail, mend: null };
  const mend = `aspen-agent job submit maintenance '{"task": "compact"}' --node ID with the id of this node, then start its agent anew`;
  return { name, status: 'warn', detail, mend };
}

export function judgeMemory({
  freeBytes,
  totalBytes,
}: {
  readonly freeBytes: number;
  readonly totalBytes: number;
}): Finding {
  const detail = `${(freeBytes / MIB).toFixed(0)} of ${(totalBytes / MIB).toFixed(0)} MiB available`;
  const name = 'memory';
  if (freeBytes >= 256 * MIB) return { name, status: 'ok', detail, mend: null };
  return {
    name,
    status: freeBytes < 64 * MIB ? 'fail' : 'warn',
    detail,
    mend: 'end what takes memory on this machine, or give the node fewer slots in aspen.yaml',
  };
}

/** @param soft null where there is no limit, or nobody can tell. */
export function judgeFiles({
  open,
  soft,
}: {
  readonly open: number | null;
  readonly soft: number | null;
}): Finding {
  const name = 'files.limit';
  if (soft === null)
    return { name, status: 'ok', detail: 'unknown: the system tells no limit of open files', mend: null };
  const detail = `${open ?? 'an unknown number'} of ${soft} open files`;
  if (soft >= 4_096 && (open ?? 0) < soft * 0.8) return { name, status: 'ok', detail, mend: null };
  return {
    name,
    status: open !== null && open >= soft * 0.95 ? 'fail' : 'warn',
    detail,
    mend: 'raise the limit before the agent starts: ulimit -n 65536, or LimitNOFILE=65536 in its systemd unit',
  };
}

export function judgeMulticast(problem: string | undefined): Finding {
  const name = 'network.multicast';
  if (problem === undefined)
    return { name, status: 'ok', detail: 'members on this network can be found', mend: null };
  const mend = /\(mend it with: (.*)\)/.exec(problem)?.[1] ?? 'join with a ticket: it names addresses';
  return { name, status: 'warn', detail: problem.replace(/ \(mend it with: .*\)/, ''), mend };
}

/** @param listens what this node was told to listen on. @param addresses what it listens on. */
export function judgePorts(listens: readonly string[], addresses: readonly string[]): Finding {
  const name = 'network.ports';
  if (listens.length === 0) {
    return {
      name,
      status: 'ok',
      detail: 'listens nowhere, as it was told: it reaches others, over relays too',
      mend: null,
    };
  }
  if (addresses.length > 0)
    return { name, status: 'ok', detail: `listens on ${addresses.slice(0, 4).join(', ')}`, mend: null };
  return {
    name,
    status: 'fail',
    detail: `listens on none of ${listens.join(', ')}`,
    mend: 'another program may have the port: set another one with --listen, and start again',
  };
}
