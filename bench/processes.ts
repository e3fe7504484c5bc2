import { readFileSync } from 'node:fs';

/** Anonymous memory only: the mapped pages of the store belong to the page cache. Unit: MB. */
export function privateMB(pid: number): number {
  const found = /^Anonymous:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'));
  return (Number(found?.[1]) * 1_024) / 1e6;
}
