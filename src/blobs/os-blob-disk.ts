import { randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AspenError } from '../base/index.ts';
import { syncDirectory } from '../base/os-sync-directory.ts';
import type { BlobDisk, DataFile, EntryFile } from './disk.ts';

const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY_FILE = 0o600;
const ENTRY = /^[a-z0-9-]{1,80}$/;
const DATA = 'data';
/** What is being removed is called so first. */
const TRASH = '.gone-';

/** Blobs in a directory of this machine's file system: a directory for each, with the bytes in one file. */
export class OsBlobDisk implements BlobDisk {
  readonly #root: string;

  /** @param root made at the first write. */
  constructor(root: string) {
    this.#root = root;
  }

  async names(): Promise<readonly string[]> {
    const names = await readdir(this.#root).catch((cause: NodeJS.ErrnoException) => {
      if (cause.code === 'ENOENT') return [];
      throw failure(this.#root, cause);
    });
    for (const name of names)
      if (name.startsWith(TRASH)) await rm(join(this.#root, name), { recursive: true, force: true });
    return names.filter((name) => ENTRY.test(name));
  }

  async read(name: string, file: EntryFile): Promise<Uint8Array | undefined> {
    const path = join(this.#entry(name), file);
    try {
      return new Uint8Array(await readFile(path));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw failure(path, cause as NodeJS.ErrnoException);
    }
  }

  async writeAtomic(name: string, file: EntryFile, bytes: Uint8Array): Promise<void> {
    const directory = this.#entry(name);
    const path = join(directory, file);
    const temporary = join(directory, `.${file}.${randomBytes(4).toString('hex')}.tmp`);
    try {
      await this.#make(directory);
      const handle = await open(temporary, 'wx', OWNER_ONLY_FILE);
      try {
        await handle.writeFile(bytes);
        await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(temporary, path);
      await syncDirectory(directory);
    } catch (cause) {
      await rm(temporary, { force: true });
      throw failure(path, cause as NodeJS.ErrnoException);
    }
  }

  async openData(name: string): Promise<DataFile> {
    const directory = this.#entry(name);
    const path = join(directory, DATA);
    try {
      return new OsDataFile(path, await open(path, 'r+'));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
        throw failure(path, cause as NodeJS.ErrnoException);
    }
    try {
      await this.#make(directory);
      const handle = await open(path, 'wx+', OWNER_ONLY_FILE);
      await syncDirectory(directory);
      return new OsDataFile(path, handle);
    } catch (cause) {
      throw failure(path, cause as NodeJS.ErrnoException);
    }
  }

  async dataBytes(name: string): Promise<number> {
    const path = join(this.#entry(name), DATA);
    try {
      return (await stat(path)).size;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return 0;
      throw failure(path, cause as NodeJS.ErrnoException);
    }
  }

  async rename(from: string, to: string): Promise<void> {
    try {
      await rename(this.#entry(from), this.#entry(to));
      await syncDirectory(this.#root);
    } catch (cause) {
      throw failure(this.#entry(to), cause as NodeJS.ErrnoException);
    }
  }

  async remove(name: string): Promise<void> {
    const trash = join(this.#root, `${TRASH}${randomBytes(8).toString('hex')}`);
    try {
      await rename(this.#entry(name), trash);
      await rm(trash, { recursive: true, force: true });
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw failure(this.#entry(name), cause as NodeJS.ErrnoException);
    }
  }

  #entry(name: string): string {
    if (!ENTRY.test(name)) throw new AspenError('INVALID_PARAMS', `"${name}" names no blob`);
    return join(this.#root, name);
  }

  async #make(directory: string): Promise<void> {
    const made = await mkdir(directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
    if (made === undefined) return;
    await syncDirectory(this.#root);
    if (made !== directory) await syncDirectory(join(this.#root, '..'));
  }
}

class OsDataFile implements DataFile {
  readonly #path: string;
  readonly #handle: FileHandle;

  constructor(path: string, handle: FileHandle) {
    this.#path = path;
    this.#handle = handle;
  }

  async read(offset: number, lengthBytes: number): Promise<Uint8Array> {
    const bytes = Buffer.allocUnsafeSlow(lengthBytes); // all of it is read, or cut off
    let read = 0;
    try {
      while (read < lengthBytes) {
        const { bytesRead } = await this.#handle.read(bytes, read, lengthBytes - read, offset + read);
        if (bytesRead === 0) return bytes.subarray(0, read);
        read += bytesRead;
      }
    } catch (cause) {
      throw failure(this.#path, cause as NodeJS.ErrnoException);
    }
    return bytes;
  }

  async write(offset: number, bytes: Uint8Array): Promise<void> {
    let written = 0;
    try {
      while (written < bytes.length) {
        const { bytesWritten } = await this.#handle.write(
          bytes,
          written,
          bytes.length - written,
          offset + written,
        );
        written += bytesWritten;
      }
    } catch (cause) {
      throw failure(this.#path, cause as NodeJS.ErrnoException);
    }
  }

  async sync(): Promise<void> {
    try {
      await this.#handle.datasync();
    } catch (cause) {
      throw failure(this.#path, cause as NodeJS.ErrnoException);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle.close();
  }
}

function failure(path: string, cause: NodeJS.ErrnoException): AspenError {
  const isFull = cause.code === 'ENOSPC' || cause.code === 'EDQUOT';
  return new AspenError(isFull ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE', `${path}: ${cause.message}`, {
    cause,
    outcome: isFull ? 'not-applied' : 'unknown',
    details: isFull ? { limit: 'disk' } : {},
  });
}
