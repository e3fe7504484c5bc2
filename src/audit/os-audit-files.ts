import { mkdirSync } from 'node:fs';
import { open, readdir, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncDirectory } from '../base/os-sync-directory.ts';
import { type AuditFiles, isFileName } from './audit-files.ts';

const OWNER_ONLY_DIRECTORY = 0o700;
const OWNER_ONLY_FILE = 0o600;
const HEAD = 'head.json';

/** Files of one directory, readable by their owner only. */
export class OsAuditFiles implements AuditFiles {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    mkdirSync(directory, { recursive: true, mode: OWNER_ONLY_DIRECTORY });
  }

  async names(): Promise<readonly string[]> {
    return (await readdir(this.#directory)).filter(isFileName).sort();
  }

  async read(name: string): Promise<Uint8Array> {
    return (await this.#readIfThere(name)) ?? new Uint8Array(0);
  }

  async write(name: string, offset: number, bytes: Uint8Array): Promise<void> {
    const file = await open(this.#path(name), offset === 0 ? 'w' : 'r+', OWNER_ONLY_FILE);
    try {
      let written = 0;
      while (written < bytes.length) {
        const { bytesWritten } = await file.write(bytes, written, bytes.length - written, offset + written);
        written += bytesWritten;
      }
      await file.datasync();
    } finally {
      await file.close();
    }
    if (offset === 0) await syncDirectory(this.#directory);
  }

  async truncate(name: string, length: number): Promise<void> {
    const file = await open(this.#path(name), 'r+');
    try {
      await file.truncate(length);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  async remove(name: string): Promise<void> {
    await unlink(this.#path(name));
    await syncDirectory(this.#directory);
  }

  async setAside(name: string): Promise<void> {
    let count = 0;
    const all = new Set(await readdir(this.#directory));
    while (all.has(`${name}.unverified-${count}`)) count += 1;
    await rename(this.#path(name), this.#path(`${name}.unverified-${count}`));
    await syncDirectory(this.#directory);
  }

  async readHead(): Promise<string | undefined> {
    const bytes = await this.#readIfThere(HEAD);
    return bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8');
  }

  async writeHead(text: string): Promise<void> {
    const next = this.#path(`${HEAD}.new`);
    const file = await open(next, 'w', OWNER_ONLY_FILE);
    try {
      await file.writeFile(text);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(next, this.#path(HEAD));
  }

  async #readIfThere(name: string): Promise<Uint8Array | undefined> {
    try {
      return await readFile(this.#path(name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}
