import { AspenError, type Logger } from '../base/index.ts';
import { type FileBox, FORMAT_VERSION, readFormat, writeFormat } from './data-directory.ts';

/**
 * The way from one format to the next.
 *
 * - T1: `prepare` changes nothing that the old format needs, and may be begun anew at any moment. `finish` puts what was prepared in its
 *   place and may be repeated. Between the two the record says so, so that a crash anywhere leads on, never back to a mixture.
 */
export interface MigrationStep {
  /** The version it begins with; it ends with the next one. */
  readonly from: number;
  /** What changes, for the log: a phrase. */
  readonly what: string;
  prepare(): Promise<void>;
  finish(): Promise<void>;
}

export interface MigrationComponents {
  readonly files: FileBox;
  /** The directory, for messages. */
  readonly path: string;
  readonly log: Logger;
  readonly steps: readonly MigrationStep[];
  /** @default the version this agent writes */
  readonly target?: number;
}

/**
 * Takes a data directory that is held already to the format of this agent, step by step.
 * @returns how many steps were taken. @throws AspenError INTERNAL when there is no way; whatever a step throws, and then the next start goes on.
 */
export async function migrateDirectory({
  files,
  path,
  log,
  steps,
  target = FORMAT_VERSION,
}: MigrationComponents): Promise<number> {
  const record = await readFormat(files, path);
  if (record === undefined) return 0;
  let { formatVersion: from, isPrepared = false } = record;
  let taken = 0;
  for (; from < target; from += 1) {
    const step = steps.find((each) => each.from === from);
    if (step === undefined) {
      throw new AspenError(
        'INTERNAL',
        `${path} has format version ${from}, and there is no way from there to version ${target}`,
      );
    }
    log.info({ from, to: from + 1, what: step.what }, 'migrates the data directory');
    if (!isPrepared) {
      await step.prepare();
      await writeFormat(files, { formatVersion: from, isPrepared: true });
    }
    await step.finish();
    await writeFormat(files, { formatVersion: from + 1 });
    log.info({ from, to: from + 1 }, 'the data directory is migrated');
    isPrepared = false;
    taken += 1;
  }
  return taken;
}
