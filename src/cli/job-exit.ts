import { constants } from 'node:os';
import type { Job } from '../rpc/index.ts';

const SIGNAL_BASE = 128;

/** The part of a shell job's result that decides how a shell would see it. */
interface Exit {
  readonly exitCode?: unknown;
  readonly signal?: unknown;
}

/** @returns the job's own exit code; 128 + signal where one ended it; 0 or 1 for jobs that are not programs. */
export function exitCodeOfJob(job: Job): number {
  const { exitCode, signal } = (
    typeof job.result === 'object' && job.result !== null ? job.result : {}
  ) as Exit;
  if (job.state === 'succeeded') return typeof exitCode === 'number' ? exitCode : 0;
  if (typeof exitCode === 'number' && exitCode !== 0) return exitCode;
  if (typeof signal === 'string') return exitCodeOfSignal(signal);
  return 1;
}

/** As a shell says of a program that a signal ended. */
export function exitCodeOfSignal(signal: string): number {
  return SIGNAL_BASE + ((constants.signals as Readonly<Record<string, number>>)[signal] ?? 0);
}
