import { AspenError, type Random } from '../base/index.ts';
import {
  bootDirectory,
  checkFileName,
  type DataDirectory,
  type FileBox,
  redrawIncarnation,
} from './data-directory.ts';

/** A directory that outlives the simulated process using it. */
export class MemoryDirectoryDisk implements FileBox {
  readonly path: string;
  /** A simulation that copies a disk to another machine gives it another name. */
  machine: string;
  isHeld = false;
  readonly #files = new Map<string, Uint8Array>();

  constructor({ path, machine }: { readonly path: string; readonly machine: string }) {
    this.path = path;
    this.machine = machine;
  }

  async read(name: string): Promise<Uint8Array | undefined> {
    const bytes = this.#files.get(name);
    return bytes && new Uint8Array(bytes);
  }

  async writeAtomic(name: string, bytes: Uint8Array): Promise<void> {
    this.#files.set(name, new Uint8Array(bytes));
  }

  async remove(name: string): Promise<void> {
    this.#files.delete(name);
  }

  /** The process that held it died: its hold dies with it, as the real one does. */
  crash(): void {
    this.isHeld = false;
  }
}

/** @throws AspenError CONFLICT when it is held, or as `bootDirectory`. */
export async function openMemoryDataDirectory(
  disk: MemoryDirectoryDisk,
  { random }: { readonly random: Random },
): Promise<DataDirectory> {
  if (disk.isHeld) throw new AspenError('CONFLICT', `another agent uses ${disk.path}`);
  disk.isHeld = true;
  try {
    const { path, machine } = disk;
    const boot = await bootDirectory({ files: disk, random, machine, path });
    let { incarnation } = boot;
    return {
      ...boot,
      get incarnation() {
        return incarnation;
      },
      path,
      socketPath: `${path}/agent.sock`,
      storePath: `${path}/store`,
      renewIncarnation: async () => {
        incarnation = await redrawIncarnation({ files: disk, random, path });
        return incarnation;
      },
      readFile: async (name) => {
        checkFileName(name);
        return disk.read(name);
      },
      writeFileAtomic: async (name, bytes) => {
        checkFileName(name);
        await disk.writeAtomic(name, bytes);
      },
      removeFile: async (name) => {
        checkFileName(name);
        await disk.remove(name);
      },
      [Symbol.asyncDispose]: async () => disk.crash(),
    };
  } catch (error) {
    disk.crash();
    throw error;
  }
}
