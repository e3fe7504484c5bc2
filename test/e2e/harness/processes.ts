import { readdirSync, readFileSync } from 'node:fs';

/** @returns whether a process of that id exists and is not a zombie. */
export function isAlive(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3) !== 'Z';
  } catch {
    return false; // it ended between two looks, or before the first
  }
}

/** @returns the ids of living processes whose environment has exactly this `NAME=value`. */
export function processesWith(variable: string): number[] {
  const found: number[] = [];
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    if (!Number.isInteger(pid)) continue;
    if (environmentOfProcess(pid).includes(variable) && isAlive(pid)) found.push(pid);
  }
  return found;
}

function environmentOfProcess(pid: number): readonly string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0');
  } catch {
    return []; // ended meanwhile, or a kernel thread, or not ours to read
  }
}

/** Signals a process that may have ended already. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
