/** What this folder needs of the replicated machine and its keys, under one roof. */
export type { ApplyContext, Fact, MachineModule, QueryContext } from '../lease/machine/index.ts';
export { type Key, keyNumber, numberKey, prefixEnd, textKey } from '../storage/index.ts';
