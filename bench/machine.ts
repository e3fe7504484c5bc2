import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, loadavg, release, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { quantile, round } from './statistics.ts';

export interface Machine {
  readonly cpu: string;
  readonly coreCount: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** fdatasync after an append of 300 bytes, where the agents' data lies. Unit: ms. */
  readonly fdatasyncP50Ms: number;
  readonly fdatasyncP99Ms: number;
  readonly fileSystem: string;
  /** Processes that wanted a core before the bench began, mean of the last minute: other work makes every figure worse. */
  readonly loadBefore: number;
}

const SYNC_COUNT = 500;
const APPEND_BYTES = 300;

export function describeMachine(): Machine {
  const syncs = fdatasyncTimesMs();
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    coreCount: cpus().length,
    memoryGiB: round(totalmem() / 2 ** 30),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    fdatasyncP50Ms: round(quantile(syncs, 0.5)),
    fdatasyncP99Ms: round(quantile(syncs, 0.99)),
    fileSystem: fileSystemOf(tmpdir()),
    loadBefore: round(loadavg()[0] ?? 0),
  };
}

function fdatasyncTimesMs(): number[] {
  const directory = mkdtempSync(join(tmpdir(), 'aspen-bench-'));
  const file = openSync(join(directory, 'sync'), 'w');
  const record = Buffer.alloc(APPEND_BYTES, 1);
  const times: number[] = [];
  for (let count = 0; count < SYNC_COUNT; count += 1) {
    const before = performance.now();
    writeSync(file, record);
    fdatasyncSync(file);
    times.push(performance.now() - before);
  }
  closeSync(file);
  rmSync(directory, { recursive: true });
  return times;
}

/** The mount with the longest path that contains the directory. */
function fileSystemOf(directory: string): string {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' '))
    .filter(([, at = '']) => directory === at || directory.startsWith(at.endsWith('/') ? at : `${at}/`))
    .sort(([, a = ''], [, b = '']) => a.length - b.length);
  return mounts.at(-1)?.[2] ?? 'unknown';
}
