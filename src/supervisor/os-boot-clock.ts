import { readFileSync } from 'node:fs';
import { uptime } from 'node:os';
import { OsClock } from '../base/os-clock.ts';
import type { BootClock } from './boot-clock.ts';

/** The machine's own clocks. */
export class OsBootClock extends OsClock implements BootClock {
  bootMs(): number {
    return uptime() * 1_000;
  }
}

/** @returns a name of this run of the machine: another after each start of it. Empty where the system gives it none. */
export function readBootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return '';
  }
}
