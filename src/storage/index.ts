export { BIRTH_KEY } from './birth.ts';
export { CheckedStore, type CheckedStoreComponents } from './checked-store.ts';
export { CHECK_BYTES, isSealed, openValue, readableKey, sealValue } from './checked-value.ts';
export { type Compacted, type Compactor, isWorthCompacting, type StoreSpace } from './compaction.ts';
export {
  checkFileName,
  type DataDirectory,
  DIRECTORY_FILES,
  defaultDataDirectoryPath,
  FORMAT_VERSION,
} from './data-directory.ts';
export type { JournalDisk, Segment } from './journal.ts';
export { openJournaledStore } from './journal-opening.ts';
export { JournaledStore, type JournaledStoreComponents } from './journaled-store.ts';
export { checkKeys, KEY_BYTES_LIMIT, KeyTable } from './key-table.ts';
export { keyNumber, keyText, numberKey, prefixEnd, textKey } from './keys.ts';
export { MemoryDirectoryDisk, openMemoryDataDirectory } from './memory-data-directory.ts';
export { copied, MemoryStore, tableSnapshot } from './memory-store.ts';
export { type MigrationComponents, type MigrationStep, migrateDirectory } from './migration.ts';
export { type ReadStep, readStep, Scrubber } from './scrubber.ts';
export { SortedKeys } from './sorted-keys.ts';
export {
  type Key,
  type KeyRange,
  StorageFault,
  type Store,
  type StoreSnapshot,
  type StoreView,
  type Write,
} from './store.ts';
export { WriteBuffer } from './write-buffer.ts';
