export type { Configuration, Entry, EntryKind, HardState, LogReader, SnapshotMeta } from './types.ts';
