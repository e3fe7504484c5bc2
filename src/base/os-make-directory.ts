import {
  accessSync,
  constants,
  mkdirSync,
  readdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { CannotStart } from './cannot-start.ts';

const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY_FILE = 0o600;
/** Taken for a leftover, and removed, by whoever opens the directory, should it be left there. */
const PROBE_FILE = '.probe.00000000.tmp';
/** A file system that has no room for so much has none for an agent. Unit: bytes. */
const PROBE_BYTES = 64 * 2 ** 10;
/** What the files of a new agent take: two segments of the journal, the first pages of the store, and some to begin with. Unit: bytes. */
const ROOM_BYTES = 12 * 2 ** 20;

/**
 * Makes a directory for the data of an agent, with those above it, level by level: where the system makes none, asking it for all of them at once can go on for
 * ever (`/proc`), or tells of another level than the one at fault.
 * @returns whether it was made now. @throws CannotStart saying which level is at fault and why.
 */
export function makeDataDirectory(path: string): boolean {
  const missing = missingLevels(path);
  for (const level of missing) {
    try {
      mkdirSync(level, { mode: OWNER_ONLY_DIRECTORY });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'EEXIST')
        throw cannot('make', path, dirname(level), cause);
    }
  }
  checkWritable(path);
  return missing.length > 0;
}

/** Outermost first. */
function missingLevels(path: string): string[] {
  const missing: string[] = [];
  for (let level = resolve(path); ; level = dirname(level)) {
    try {
      if (statSync(level).isDirectory()) return missing;
      throw new CannotStart(`cannot make the data directory ${path}: ${level} is there, and is no directory`);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (
        cause instanceof CannotStart ||
        (code !== 'ENOENT' && code !== 'ENOTDIR') ||
        level === dirname(level)
      )
        throw cause instanceof CannotStart ? cause : cannot('make', path, dirname(level), cause);
    }
    missing.unshift(level);
  }
}

/** A directory that holds data is opened also where the disk is full: its agent waits for room. */
function checkWritable(path: string): void {
  try {
    accessSync(path, constants.W_OK | constants.X_OK);
    if (readdirSync(path).length > 0) return;
  } catch (cause) {
    throw cannot('use', path, path, cause);
  }
  const probe = join(path, PROBE_FILE);
  try {
    writeFileSync(probe, Buffer.alloc(PROBE_BYTES), { mode: OWNER_ONLY_FILE, flush: true });
  } catch (cause) {
    throw cannot('use', path, path, cause);
  } finally {
    rmSync(probe, { force: true });
  }
  const { bavail, blocks, bsize } = statfsSync(path);
  const isTold = blocks > 0; // some file systems do not say
  if (isTold && bavail * bsize < ROOM_BYTES) {
    const free = Math.floor((bavail * bsize) / 2 ** 20);
    const why = `hardly any space is left on the file system of ${path}: ${free} MB, and a new agent takes ${ROOM_BYTES / 2 ** 20}`;
    throw new CannotStart(`cannot use the data directory ${path}: ${why}`);
  }
}

function cannot(verb: 'make' | 'use', path: string, at: string, cause: unknown): CannotStart {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why = (code !== undefined && REASONS[code]?.(at)) || message;
  return new CannotStart(`cannot ${verb} the data directory ${path}: ${why}`, { cause });
}

/** What the system's words mean here; others are told as they are. */
const REASONS: Readonly<Record<string, (at: string) => string>> = {
  ENOENT: (at) => `${at} takes no new directories`,
  EROFS: (at) => `the file system of ${at} is read-only`,
  ENOSPC: (at) => `no space is left on the file system of ${at}`,
  EDQUOT: (at) => `this user's share of the file system of ${at} is used up`,
  EACCES: (at) => `this user may not write to ${at}`,
  EPERM: (at) => `${at} lets nobody make anything in it`,
  ENAMETOOLONG: () => 'the path is too long',
};
