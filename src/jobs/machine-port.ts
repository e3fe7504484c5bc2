/** What this folder needs of the replicated machine and its keys, under one roof. */
export type {
  ApplyContext,
  Derived,
  Fact,
  MachineModule,
  QueryContext,
  ReadonlyTable,
  Volume,
} from '../lease/machine/index.ts';
export { tablesOf, VALUE_BYTES_LIMIT } from '../lease/machine/index.ts';
export { type Key, keyNumber, keyText, numberKey, prefixEnd, SortedKeys, textKey } from '../storage/index.ts';
