export { type BlobId, isBlobId, parseBlobId } from './blob-id.ts';
export { BLOB_NAME_LIMIT } from './blob-state.ts';
export { BLOB_BYTES_LIMIT, CHUNK_BYTES, ChunkSet, chunkBytesOf, chunkCountOf } from './chunks.ts';
export { type CollectionNeed, collectable, type KeptBlob } from './collection.ts';
export type { BlobDisk, DataFile, EntryFile } from './disk.ts';
export { blobIdOf, type Manifest } from './manifest.ts';
export { MemoryBlobDisk } from './memory-disk.ts';
export {
  type BlobStat,
  BlobStore,
  type BlobStoreComponents,
  type BlobStoreOptions,
  type KeepOptions,
} from './store.ts';
export type { Upload } from './upload.ts';
