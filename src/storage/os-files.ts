import { randomBytes } from 'node:crypto';
import { chmod, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { AspenError } from '../base/index.ts';
import { makeDataDirectory } from '../base/os-make-directory.ts';
import { syncDirectory } from '../base/os-sync-directory.ts';
import type { FileBox } from './data-directory.ts';

const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY_FILE = 0o600;
const OTHERS_MAY_WRITE = 0o002;
const TEMPORARY = /^\.[a-z0-9.-]+\.[0-9a-f]{8}\.tmp$/;

/** Files of one directory, readable by their owner only. */
export class OsFileBox implements FileBox {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    const path = join(this.#directory, name);
    try {
      return new Uint8Array(await readFile(path));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw new AspenError('DENIED', `cannot read ${path}: ${(cause as Error).message}`, { cause });
    }
  }

  /** F5: new content beside the old, synced, then renamed over it, and the directory synced: a crash leaves one of the two. */
  async writeAtomic(name: string, bytes: Uint8Array): Promise<void> {
    const temporary = join(this.#directory, `.${name}.${randomBytes(4).toString('hex')}.tmp`);
    try {
      await writeSynced(temporary, bytes);
      await rename(temporary, join(this.#directory, name));
      await syncDirectory(this.#directory);
    } catch (cause) {
      await unlink(temporary).catch(() => undefined); // best effort: leftovers are cleared at the next open
      throw writeFailure(join(this.#directory, name), cause as NodeJS.ErrnoException);
    }
  }

  async remove(name: string): Promise<void> {
    try {
      await unlink(join(this.#directory, name));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw writeFailure(join(this.#directory, name), cause as NodeJS.ErrnoException);
    }
    await syncDirectory(this.#directory);
  }

  /** Removes what writes that a crash cut off left behind. Only for who holds the directory. */
  async clearLeftovers(): Promise<void> {
    const names = await readdir(this.#directory);
    for (const name of names) if (TEMPORARY.test(name)) await unlink(join(this.#directory, name));
  }
}

/**
 * Makes the directory, or makes it the owner's alone.
 * @throws CannotStart when it cannot be made, or nothing can be written there; AspenError DENIED when it belongs to someone else, or anyone could have changed what is in it.
 */
export async function prepareOwnDirectory(path: string): Promise<void> {
  if (makeDataDirectory(path)) await syncDirectory(join(path, '..'));
  if (process.platform === 'win32') return;
  const { uid, mode } = await stat(path);
  const ownUid = process.getuid?.() ?? uid;
  if (uid !== ownUid) {
    throw new AspenError('DENIED', `${path} belongs to user ${uid}, and this agent runs as user ${ownUid}`);
  }
  if ((mode & OTHERS_MAY_WRITE) !== 0 && (await readdir(path)).length > 0) {
    throw new AspenError(
      'DENIED',
      `everyone may write to ${path} (mode ${(mode & 0o777).toString(8)}), so what is in it cannot be trusted; check it, then chmod 700 it`,
    );
  }
  if ((mode & 0o777) !== OWNER_ONLY_DIRECTORY) await chmod(path, OWNER_ONLY_DIRECTORY);
}

async function writeSynced(path: string, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'wx', OWNER_ONLY_FILE);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

function writeFailure(path: string, cause: NodeJS.ErrnoException): AspenError {
  const isFull = cause.code === 'ENOSPC' || cause.code === 'EDQUOT';
  return new AspenError(
    isFull ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE',
    `cannot write ${path}: ${cause.message}`,
    {
      cause,
      outcome: 'unknown',
    },
  );
}
