import { setTimeout as pauseMs } from 'node:timers/promises';
import type { SeenProcess } from './census.ts';
import { OsCensus, readProcessStat } from './os-census.ts';
import type { SupervisorRecord } from './os-supervisor-files.ts';

/** How long killed processes may take to go. Unit: ms. */
const DYING_MOST_MS = 5_000;
const LOOK_MS = 20;

/** @returns whether the process that wrote the record still runs: not another one under its number, nor in another run of the machine. */
export function isSupervisorAlive({ pid, startTicks, bootId }: SupervisorRecord, bootIdNow: string): boolean {
  return bootId === bootIdNow && readProcessStat(pid)?.startTicks === startTicks;
}

/**
 * V3. Ends a supervisor that is of no use any more, and then whatever carries a mark of its attempts: in this order, so that nothing more is
 * begun meanwhile.
 * @returns what could not be ended.
 */
export async function endLeftovers(
  record: SupervisorRecord,
  bootIdNow: string,
): Promise<readonly SeenProcess[]> {
  const census = new OsCensus();
  await untilNobody(() => {
    if (isSupervisorAlive(record, bootIdNow)) census.signal(record, 'SIGKILL');
    return isSupervisorAlive(record, bootIdNow) ? [record] : [];
  });
  return untilNobody(() => {
    const left = (census.take() ?? []).filter(({ marks }) =>
      marks.some((mark) => mark.startsWith(`${record.nonce}-`)),
    );
    for (const seen of left) census.signal(seen, 'SIGKILL');
    return left;
  });
}

/** Kills until nobody is left, or for so long. @returns who is left. */
async function untilNobody<T>(kill: () => readonly T[]): Promise<readonly T[]> {
  const untilMs = performance.now() + DYING_MOST_MS;
  for (let left = kill(); ; left = kill()) {
    if (left.length === 0 || performance.now() > untilMs) return left;
    await pauseMs(LOOK_MS);
  }
}
