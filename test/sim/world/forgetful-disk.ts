import type { SeededRandom } from '../../../src/base/index.ts';
import type { Write } from '../../../src/storage/index.ts';
import { SimDisk, type SimDiskOptions } from '../ground/index.ts';

/** Tables of what is remembered of clients, so that nothing they repeat has a second effect. */
export const OUTCOMES: readonly string[] = ['0/clients/', '0/outcomes/'];
/** The table of the keys by which jobs are handed in once. */
export const JOB_KEYS: readonly string[] = ['jobs/idempotency/'];

/** Loses some tables whenever a received snapshot is put in place: what a snapshot without them would do. */
export class ForgetfulDisk extends SimDisk {
  readonly #lost: readonly string[];

  constructor(random: SeededRandom, options: SimDiskOptions, lost: readonly string[]) {
    super(random, options);
    this.#lost = lost;
  }

  override persist(writes: readonly Write[]): void {
    super.persist(writes);
    const isInstalling = writes.some((write) => write.type === 'put' && write.key === 'r/space');
    if (isInstalling)
      super.persist(['t0/', 't1/'].flatMap((space) => this.#lost.map((name) => emptied(space + name))));
  }
}

function emptied(prefix: string): Write {
  return { type: 'deleteRange', from: prefix, to: `${prefix}\uffff` };
}
