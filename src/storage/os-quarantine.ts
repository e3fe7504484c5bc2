import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../base/os-sync-directory.ts';

/** Damaged stores kept for inspection; older ones are removed. */
const KEPT_LIMIT = 3;
const FOLDER = 'quarantine';

export interface QuarantineRequest {
  /** The data directory. */
  readonly directory: string;
  /** Files of it to be moved aside; those that are not there are passed over. */
  readonly names: readonly string[];
  readonly reason: string;
  readonly wallMs: number;
}

/**
 * Moves files of a data directory to `quarantine/<time>-<reason>/` in it, with the reason in full beside them.
 * @returns where they are; null when none of them was there.
 */
export async function moveAside({
  directory,
  names,
  reason,
  wallMs,
}: QuarantineRequest): Promise<string | null> {
  const there = new Set(await readdir(directory));
  const present = names.filter((name) => there.has(name));
  if (present.length === 0) return null;
  const folder = join(directory, FOLDER);
  const time = new Date(wallMs).toISOString().replace(/[:.]/g, '-');
  const target = join(folder, `${time}-${slugOf(reason)}`);
  await mkdir(target, { recursive: true, mode: 0o700 });
  await writeFile(join(target, 'reason.txt'), `${reason}\n`, { mode: 0o600 });
  for (const name of present) await rename(join(directory, name), join(target, name));
  for (const path of [target, folder, directory]) await syncDirectory(path);
  await forgetOldest(folder);
  return target;
}

/** Names begin with their time, so they sort by it. */
async function forgetOldest(folder: string): Promise<void> {
  const names = (await readdir(folder)).sort();
  for (const name of names.slice(0, -KEPT_LIMIT))
    await rm(join(folder, name), { recursive: true, force: true });
}

/** A few of its words, so that a listing tells why. */
function slugOf(reason: string): string {
  const words = /(?:is damaged: |\b(?=the value|log entry|the store of))(.*)$/.exec(reason)?.[1] ?? reason;
  return words
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, 48)
    .replace(/^-|-$/g, '');
}
