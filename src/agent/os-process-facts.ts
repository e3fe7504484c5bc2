import { readdirSync, readFileSync } from 'node:fs';
import { monitorEventLoopDelay, performance } from 'node:perf_hooks';
import { cpuUsage, memoryUsage } from 'node:process';
import type { ProcessFacts } from './process-facts.ts';

/** How often the delay is sampled: often enough to see a blocked loop, seldom enough to cost nothing. Unit: ms. */
const DELAY_RESOLUTION_MS = 50;
const NS_PER_S = 1e9;
const US_PER_S = 1e6;
const FILES = '/proc/self/fd';
const LIMITS = '/proc/self/limits';

/** Reads what the system tells of this process; the delay of the event loop is watched from the first reading on. */
export class OsProcessFacts {
  #delay: ReturnType<typeof monitorEventLoopDelay> | undefined;
  #utilization = performance.eventLoopUtilization();

  read(): ProcessFacts {
    const memory = memoryUsage();
    const cpu = cpuUsage();
    const utilization = performance.eventLoopUtilization(this.#utilization);
    this.#utilization = performance.eventLoopUtilization();
    return {
      startedAtS: performance.timeOrigin / 1_000,
      residentBytes: memory.rss,
      heapUsedBytes: memory.heapUsed,
      heapBytes: memory.heapTotal,
      externalBytes: memory.external,
      userCpuS: cpu.user / US_PER_S,
      systemCpuS: cpu.system / US_PER_S,
      eventLoopDelayS: this.#readDelay(),
      eventLoopUtilization: utilization.utilization,
      openFiles: countOpenFiles(),
      openFilesLimit: readFilesLimit(),
    };
  }

  /** What the sampling itself waits is no delay. */
  #readDelay(): ProcessFacts['eventLoopDelayS'] {
    if (this.#delay === undefined) {
      this.#delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
      this.#delay.enable();
      return { p50: 0, p99: 0, most: 0 };
    }
    const late = (ns: number) => Math.max(0, ns / NS_PER_S - DELAY_RESOLUTION_MS / 1_000);
    const delay = this.#delay;
    const read =
      delay.count === 0
        ? { p50: 0, p99: 0, most: 0 }
        : { p50: late(delay.percentile(50)), p99: late(delay.percentile(99)), most: late(delay.max) };
    delay.reset();
    return read;
  }
}

/** @returns null where nobody can tell. */
export function countOpenFiles(): number | null {
  try {
    return readdirSync(FILES).length;
  } catch {
    return null; // not Linux: nobody can tell
  }
}

/** @returns the soft limit; null where nobody can tell, or there is none. */
export function readFilesLimit(): number | null {
  let limits: string;
  try {
    limits = readFileSync(LIMITS, 'utf8');
  } catch {
    return null; // not Linux: nobody can tell
  }
  const soft = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
  return soft === undefined ? null : Number(soft);
}
