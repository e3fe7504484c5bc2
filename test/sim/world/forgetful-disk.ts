import type { Write } from '../../../src/storage/index.ts';
import { SimDisk } from '../ground/index.ts';

/** Of every space of tables: what is remembered of clients, so that nothing they repeat has a second effect. */
const MEMORIES = ['0/clients/', '0/outcomes/'];

/** Loses the memory of clients whenever a received snapshot is put in place: what a snapshot without it would do. */
export class ForgetfulDisk extends SimDisk {
  override persist(writes: readonly Write[]): void {
    super.persist(writes);
    const isInstalling = writes.some((write) => write.type === 'put' && write.key === 'r/space');
    if (isInstalling)
      super.persist(['t0/', 't1/'].flatMap((space) => MEMORIES.map((name) => emptied(space + name))));
  }
}

function emptied(prefix: string): Write {
  return { type: 'deleteRange', from: prefix, to: `${prefix}\uffff` };
}
