import { access } from 'node:fs/promises';
import type { Clock, Logger, Random } from '../base/index.ts';
import { renewJobRows } from '../jobs/index.ts';
import { MACHINE_SPACES } from '../lease/index.ts';
import { CheckedStore, type MigrationStep, StorageFault } from '../storage/index.ts';
import { openStoreWithJournal } from '../storage/os-journaled-store.ts';

/** 3 to 4: finished jobs have one row, and share those of the indexes. In place: an agent that knows only the old rows would find no jobs. */
export function jobRowsMigration(
  storePath: string,
  { clock, random, log }: { readonly clock: Clock; readonly random: Random; readonly log: Logger },
): MigrationStep {
  return {
    from: 3,
    what: 'finished jobs share the rows of indexes',
    prepare: async () => undefined,
    async finish() {
      const isThere = await access(storePath).then(
        () => true,
        () => false,
      );
      if (!isThere) return;
      try {
        await using store = new CheckedStore({
          store: await openStoreWithJournal(storePath, { clock, random }),
        });
        for (const space of MACHINE_SPACES) await renewJobRows(store, { space, log });
      } catch (error) {
        if (!(error instanceof StorageFault) || error.kind !== 'damaged') throw error;
        log.warn({ err: error }, 'the store is damaged: it is set aside when it is opened');
      }
    },
  };
}
