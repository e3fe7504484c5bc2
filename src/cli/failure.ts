import { AspenError, CannotStart, ERROR_KINDS, formatDuration } from '../base/index.ts';
import type { CliIo } from './io.ts';

export const EXIT_FAILED = 1;
export const EXIT_WRONG_USAGE = 2;
/** As a shell says it of a program that SIGINT ended. */
export const EXIT_INTERRUPTED = 130;

/** Whoever types gave up. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** An error of the command line itself: exit code 2. */
export function wrongUsage(message: string): AspenError {
  return new AspenError('INVALID_PARAMS', message);
}

/** Says on standard error what went wrong and what may help. @returns the exit code. */
export function reportFailure(io: Pick<CliIo, 'stderr'>, error: unknown, dataDir: string): number {
  if (error instanceof CannotStart) {
    io.stderr.write(`aspen-agent: ${error.message}\n`);
    return EXIT_FAILED;
  }
  if (error instanceof Interrupted) {
    io.stderr.write(`aspen-agent: ${error.message}\n`);
    return EXIT_INTERRUPTED;
  }
  if (!(error instanceof AspenError)) {
    io.stderr.write(
      `aspen-agent: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    return EXIT_FAILED;
  }
  io.stderr.write(`aspen-agent: ${error.message}\n`);
  for (const hint of hintsFor(error, dataDir)) io.stderr.write(`  ${hint}\n`);
  return ERROR_KINDS[error.code].exitCode;
}

function hintsFor(error: AspenError, dataDir: string): string[] {
  const hints: string[] = [];
  const { current, socketPath, retryAfterMs } = error.details;
  if (socketPath !== undefined) hints.push(`start one with: aspen-agent up --data-dir ${dataDir}`);
  if (current !== undefined) hints.push(`now it is: ${JSON.stringify(current)}`);
  if (retryAfterMs !== undefined) hints.push(`try again in ${formatDuration(retryAfterMs)}`);
  if (error.code === 'NO_QUORUM')
    hints.push(
      'nothing was changed; add --timeout 60s to keep trying, or see who is missing and the way out: aspen-agent group status',
    );
  if (error.outcome === 'unknown' && error.code !== 'INTERNAL') hints.push('it may still take effect');
  return hints;
}
