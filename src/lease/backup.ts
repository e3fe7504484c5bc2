import type { LogIndex } from '../base/index.ts';
import { type Key, prefixEnd, type Store, type StoreSnapshot } from '../storage/index.ts';
import { BackupEncoder, type BackupFrame, type BackupHeader, type BackupRecord } from './backup-format.ts';
import { readSpace } from './disk-layout.ts';
import { readState } from './machine/index.ts';

/** Keys and values of one frame; a single larger record goes alone. Unit: bytes. */
const FRAME_RECORD_BYTES = 256 * 2 ** 10;

/** @returns the index that the tables on this disk stand for; 0 where there are none. */
export function durableIndex(store: Store): LogIndex {
  using snapshot = store.snapshot();
  return readState(snapshot, readSpace(snapshot)).index;
}

/**
 * The applied tables of this node as they are at one moment, in frames: consistent however long the reading takes, one frame in memory.
 * Holds a read transaction open until disposed, which keeps the store from using old pages again.
 */
export class BackupSource implements Disposable {
  readonly header: BackupHeader;
  readonly #snapshot: StoreSnapshot;
  readonly #frames: Generator<BackupFrame, void, undefined>;
  readonly #encoder = new BackupEncoder();

  constructor(store: Store, facts: Pick<BackupHeader, 'meshId' | 'peerId' | 'takenAtMs'>) {
    this.#snapshot = store.snapshot();
    const space = readSpace(this.#snapshot);
    const { epoch, index, term, version } = readState(this.#snapshot, space);
    this.header = { ...facts, epoch, index, term, machineVersion: version };
    this.#frames = framesOf(this.header, this.#snapshot, space);
  }

  /** @returns the next piece of the backup; undefined after the last one. */
  next(): Uint8Array | undefined {
    const { value } = this.#frames.next();
    return value === undefined ? undefined : this.#encoder.frame(value);
  }

  [Symbol.dispose](): void {
    this.#snapshot[Symbol.dispose]();
  }
}

function* framesOf(
  header: BackupHeader,
  snapshot: StoreSnapshot,
  space: Key,
): Generator<BackupFrame, void, undefined> {
  yield { kind: 'header', header };
  let recordCount = 0;
  for (let from: Key | undefined = space; from !== undefined; ) {
    const { records, next } = recordsFrom(snapshot, { from, space });
    recordCount += records.length;
    if (records.length > 0) yield { kind: 'records', records };
    from = next;
  }
  yield { kind: 'end', recordCount };
}

/** A range is read without a pause; the next frame begins a new one. */
function recordsFrom(
  snapshot: StoreSnapshot,
  { from, space }: { readonly from: Key; readonly space: Key },
): { readonly records: readonly BackupRecord[]; readonly next: Key | undefined } {
  const records: BackupRecord[] = [];
  let bytes = 0;
  for (const [key, value] of snapshot.range({ from, to: prefixEnd(space) })) {
    if (records.length > 0 && bytes + key.length + value.length > FRAME_RECORD_BYTES)
      return { records, next: key };
    records.push([key.slice(space.length), value]);
    bytes += key.length + value.length;
  }
  return { records, next: undefined };
}
