import { OneByOne } from '../base/index.ts';
import { encodeMembership, type Membership, ownMembership } from './membership.ts';
import type { Platform } from './platform.ts';

const FILE = 'mesh';

/** The file that says to which mesh this machine belongs. Written one time after the other. */
export class MembershipFile {
  readonly #platform: Pick<Platform, 'crypto' | 'directory'>;
  readonly #writing = new OneByOne();

  constructor(platform: Pick<Platform, 'crypto' | 'directory'>) {
    this.#platform = platform;
  }

  /** @returns undefined where this machine belongs to none. @throws as {@link ownMembership}. */
  async read(): Promise<Membership | undefined> {
    const { crypto, directory } = this.#platform;
    const file = await directory.readFile(FILE);
    return file === undefined ? undefined : ownMembership(crypto, { file, seed: directory.seed });
  }

  /** @throws AspenError RESOURCE_EXHAUSTED when the disk is full. */
  write(membership: Membership): Promise<void> {
    return this.writeLatest(() => membership);
  }

  /** Writes what is to be kept when its turn has come, where anything is. @throws as {@link write}. */
  writeLatest(latest: () => Membership | undefined): Promise<void> {
    return this.#writing.run(async () => {
      const membership = latest();
      if (membership === undefined) return;
      await this.#platform.directory.writeFileAtomic(FILE, encodeMembership(membership));
    });
  }

  /** Resolves when everything that was to be written before is. */
  written(): Promise<void> {
    return this.#writing.run(async () => undefined);
  }

  async remove(): Promise<void> {
    await this.#platform.directory.removeFile(FILE);
  }
}
