import type { Clock, Random } from '../base/index.ts';
import { openJournaledStore } from './journal-opening.ts';
import type { JournaledStore } from './journaled-store.ts';
import { openLmdbStore } from './lmdb-store.ts';
import { JOURNAL_SUFFIXES, openOsJournalDisk } from './os-journal-disk.ts';

/** Of the files that are the store; the first one is moved or removed first, since the others are nothing without it. */
export const STORE_SUFFIXES: readonly string[] = ['', '-lock', ...JOURNAL_SUFFIXES];

/**
 * Opens the store at `path` and its journal beside it, or makes new ones.
 * @throws StorageFault `damaged` or `full`.
 */
export async function openStoreWithJournal(
  path: string,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): Promise<JournaledStore> {
  const base = openLmdbStore(path);
  try {
    const disk = await openOsJournalDisk(path);
    try {
      return await openJournaledStore({ base, disk, clock, random });
    } catch (error) {
      await disk[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    await base[Symbol.asyncDispose]();
    throw error;
  }
}
