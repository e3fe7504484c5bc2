export { type BlobId, isBlobId, parseBlobId } from './blob-id.ts';
export type { BlobStat } from './blob-stat.ts';
export { BLOB_NAME_LIMIT } from './blob-state.ts';
export {
  type BlobPart,
  Blobs,
  type BlobsComponents,
  type BlobsOptions,
  type EnsureOptions,
} from './blobs.ts';
export { BLOB_BYTES_LIMIT, CHUNK_BYTES, ChunkSet, chunkBytesOf, chunkCountOf } from './chunks.ts';
export { type CollectionNeed, collectable, type KeptBlob } from './collection.ts';
export type { BlobDisk, DataFile, EntryFile } from './disk.ts';
export type { FetchOptions } from './fetch.ts';
export { type HolderRecord, LIAR_PAUSE_MS } from './holder-book.ts';
export type { KeepOptions } from './keep-rules.ts';
export { blobIdOf, type Manifest } from './manifest.ts';
export { MemoryBlobDisk } from './memory-disk.ts';
export { type Ask, ChunkSchedule, type ScheduleOptions } from './schedule.ts';
export { BlobStore, type BlobStoreComponents, type BlobStoreOptions } from './store.ts';
export type { Upload } from './upload.ts';
export { METHODS as BLOB_MESSAGES } from './wire.ts';
