import { createHash } from 'node:crypto';
import { readFile, realpath, stat } from 'node:fs/promises';
import { homedir, hostname } from 'node:os';
import { join, resolve } from 'node:path';
import { AspenError, type Random } from '../base/index.ts';
import {
  bootDirectory,
  checkFileName,
  type DataDirectory,
  DIRECTORY_FILES,
  defaultDataDirectoryPath,
  redrawIncarnation,
} from './data-directory.ts';
import { LONGEST_LOCK_NAME, lockDirectory, lockWithPipe } from './os-directory-lock.ts';
import { OsFileBox, prepareOwnDirectory } from './os-files.ts';

/** What the kernel takes as the path of a Unix socket. Unit: bytes. */
const SOCKET_PATH_BYTES_LIMIT = process.platform === 'linux' ? 107 : 103;

/** Where this user's agent keeps its data by default. */
export function osDefaultDataDirectoryPath(): string {
  return defaultDataDirectoryPath({
    platform: process.platform,
    homeDirectory: homedir(),
    environment: process.env,
  });
}

/**
 * Opens the data directory, making it when there is none, and holds it for this process.
 * @throws AspenError CONFLICT when another agent holds it or a newer one wrote it; DENIED when it is not this user's alone; INVALID_PARAMS
 *   when its path is too long for a Unix socket in it.
 */
export async function openOsDataDirectory(
  path: string,
  { random }: { readonly random: Random },
): Promise<DataDirectory> {
  const asked = resolve(path);
  checkPathLength(asked);
  await prepareOwnDirectory(asked);
  const directory = await realpath(asked);
  checkPathLength(directory);
  const lock =
    process.platform === 'win32'
      ? await lockWithPipe(`${pipePath(directory)}-lock`, directory)
      : await lockDirectory(directory);
  try {
    const files = new OsFileBox(directory);
    await files.clearLeftovers();
    const machine = await machineFingerprint(directory);
    const boot = await bootDirectory({ files, random, machine, path: directory });
    return new OsDataDirectory({ path: directory, boot, files, lock, random });
  } catch (error) {
    await lock[Symbol.asyncDispose]();
    throw error;
  }
}

interface OsDataDirectoryComponents {
  readonly path: string;
  readonly boot: Pick<DataDirectory, 'seed' | 'incarnation' | 'bootCount' | 'formatVersion'>;
  readonly files: OsFileBox;
  readonly random: Random;
  readonly lock: AsyncDisposable;
}

class OsDataDirectory implements DataDirectory {
  readonly path: string;
  readonly socketPath: string;
  readonly storePath: string;
  readonly seed: Uint8Array;
  incarnation: string;
  readonly bootCount: number;
  readonly formatVersion: number;
  readonly #random: Random;
  readonly #files: OsFileBox;
  readonly #lock: AsyncDisposable;

  constructor({ path, boot, files, lock, random }: OsDataDirectoryComponents) {
    this.path = path;
    this.socketPath = process.platform === 'win32' ? pipePath(path) : join(path, DIRECTORY_FILES.socket);
    this.storePath = join(path, DIRECTORY_FILES.store);
    this.seed = boot.seed;
    this.incarnation = boot.incarnation;
    this.bootCount = boot.bootCount;
    this.formatVersion = boot.formatVersion;
    this.#random = random;
    this.#files = files;
    this.#lock = lock;
  }

  async renewIncarnation(): Promise<string> {
    this.incarnation = await redrawIncarnation({ files: this.#files, random: this.#random, path: this.path });
    return this.incarnation;
  }

  async readFile(name: string): Promise<Uint8Array | undefined> {
    checkFileName(name);
    return this.#files.read(name);
  }

  async writeFileAtomic(name: string, bytes: Uint8Array): Promise<void> {
    checkFileName(name);
    await this.#files.writeAtomic(name, bytes);
  }

  async removeFile(name: string): Promise<void> {
    checkFileName(name);
    await this.#files.remove(name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lock[Symbol.asyncDispose]();
  }
}

/** The name the RPC door gives its pipe too. */
function pipePath(directory: string): string {
  return `\\\\.\\pipe\\aspen-${createHash('sha256').update(directory.toLowerCase()).digest('hex').slice(0, 32)}`;
}

function checkPathLength(directory: string): void {
  if (process.platform === 'win32') return;
  const spare = SOCKET_PATH_BYTES_LIMIT - Buffer.byteLength(join(directory, LONGEST_LOCK_NAME));
  if (spare >= 0) return;
  throw new AspenError(
    'INVALID_PARAMS',
    `the path of the data directory is ${-spare} bytes too long for the Unix sockets in it (${directory}); choose a shorter --data-dir`,
  );
}

/** The machine's own id and the directory's inode: a copy has another inode, a disk image on another machine another id. */
async function machineFingerprint(directory: string): Promise<string> {
  const { ino } = await stat(directory);
  return createHash('sha256')
    .update(`${await machineId()}\n${ino}`)
    .digest('hex');
}

async function machineId(): Promise<string> {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    const id = await readFile(path, 'utf8').catch(() => ''); // not every system has one
    if (id.trim() !== '') return id.trim();
  }
  return hostname();
}
