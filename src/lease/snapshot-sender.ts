import { type LogIndex, type PeerId, type Random, randomInt } from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { type Key, prefixEnd, type Store } from '../storage/index.ts';
import { readSpace } from './disk-layout.ts';
import { readState } from './machine/index.ts';
import { SNAPSHOT_CHUNK_BYTES, type SnapshotChunk, snapshotCrc } from './snapshot-wire.ts';

const CHUNK_TIMEOUT_MS = 10_000;

/**
 * Sends the applied tables as they are on this disk, chunk by chunk, each acknowledged before the next: memory stays bounded, and a slow
 * receiver slows its sender.
 * @returns the index that the snapshot stands for. Rejects with what the receiver or the channel said.
 */
export async function sendSnapshot(
  { store, messenger, random }: { store: Store; messenger: Messenger; random: Random },
  { to, method, signal }: { to: PeerId; method: string; signal: AbortSignal },
): Promise<LogIndex> {
  using snapshot = store.snapshot();
  const space = readSpace(snapshot);
  const { index, term, configuration } = readState(snapshot, space);
  const common = {
    transfer: randomInt(random, { from: 0, to: 2 ** 32 }),
    meta: { index, term, configuration },
  };
  let from: Key = space;
  let crc = 0;
  for (let number = 0; ; number += 1) {
    const { records, next } = takeRecords(snapshot.range({ from, to: prefixEnd(space) }), space);
    crc = snapshotCrc(crc, records);
    const chunk: SnapshotChunk = { ...common, number, records, isLast: next === undefined, crc };
    await messenger.request(to, method, chunk, { timeoutMs: CHUNK_TIMEOUT_MS, priority: 'bulk', signal });
    if (next === undefined) return index;
    from = next;
  }
}

function takeRecords(
  range: Iterable<readonly [Key, Uint8Array]>,
  space: Key,
): { records: [Key, Uint8Array][]; next: Key | undefined } {
  const records: [Key, Uint8Array][] = [];
  let bytes = 0;
  for (const [key, value] of range) {
    if (records.length > 0 && bytes + key.length + value.length > SNAPSHOT_CHUNK_BYTES) {
      return { records, next: key };
    }
    records.push([key.slice(space.length), value]);
    bytes += key.length + value.length;
  }
  return { records, next: undefined };
}
