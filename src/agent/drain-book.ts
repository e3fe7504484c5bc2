import { z } from 'zod';
import { AspenError, decode, encode, Listeners } from '../base/index.ts';
import { type Role, roleAllows } from '../mesh/index.ts';
import type { DataDirectory } from '../storage/index.ts';

const FILE = 'drain';
const settingSchema = z.object({ isDraining: z.boolean() });

/**
 * Whether this node takes new jobs; what runs goes on. The setting is the node's own and outlives the process: a machine that is to be
 * repaired stays out of work until somebody says otherwise.
 */
export class DrainBook {
  readonly #directory: DataDirectory;
  readonly #changes = new Listeners<boolean>();
  #isDraining = false;

  constructor(directory: DataDirectory) {
    this.#directory = directory;
  }

  get isDraining(): boolean {
    return this.#isDraining;
  }

  onChange(callback: (isDraining: boolean) => void): Disposable {
    return this.#changes.add(callback);
  }

  async load(): Promise<void> {
    const file = await this.#directory.readFile(FILE);
    if (file !== undefined) this.#isDraining = settingSchema.parse(decode(file)).isDraining;
  }

  /** Durable when it resolves. */
  async set(isDraining: boolean): Promise<{ readonly isDraining: boolean }> {
    await this.#directory.writeFileAtomic(FILE, encode({ isDraining }));
    this.#isDraining = isDraining;
    this.#changes.emit(isDraining);
    return { isDraining };
  }

  /** Another member asks; as with labels, members that may vote may. */
  async onRequest(role: Role | undefined, body: unknown): Promise<{ readonly isDraining: boolean }> {
    if (role === undefined || !roleAllows(role, 'voter')) {
      throw new AspenError('DENIED', 'only members with role voter may drain another node');
    }
    const setting = settingSchema.safeParse(body);
    if (!setting.success) throw new AspenError('INVALID_PARAMS', 'isDraining: neither true nor false');
    return this.set(setting.data.isDraining);
  }
}
