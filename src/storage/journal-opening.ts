import type { Random } from '../base/index.ts';
import { checkpointWrite, readCheckpoint } from './checkpoint.ts';
import { isZero } from './journal-record.ts';
import { recoverJournal } from './journal-recovery.ts';
import { JournaledStore, type JournaledStoreComponents } from './journaled-store.ts';
import { StorageFault } from './store.ts';

/**
 * Opens a store behind its journal: the base first takes over what the journal holds and it does not.
 * @throws StorageFault `damaged` when either is not as it was written, `full` when there is no room to go on.
 */
export async function openJournaledStore(components: JournaledStoreComponents): Promise<JournaledStore> {
  const { base, disk, random } = components;
  const known = readCheckpoint(base);
  if (known !== undefined && disk.isNew)
    throw new StorageFault('damaged', 'the journal of the store is gone');
  const segments = await Promise.all(disk.segments.map((segment) => segment.read()));
  const checkpoint = known ?? { sequence: 0, salt: drawSalt(random) };
  const { writes, sequence } = recoverJournal(segments, checkpoint);
  const reached = { sequence, salt: checkpoint.salt };
  if (known === undefined || sequence > known.sequence)
    await base.write([...writes, checkpointWrite(reached)]);
  for (const [at, segment] of disk.segments.entries()) {
    if (!isZero(segments[at] as Buffer, 0, disk.segmentBytes)) await segment.clear(disk.segmentBytes);
  }
  return new JournaledStore(components, reached);
}

function drawSalt(random: Random): number {
  return Buffer.from(random.bytes(4)).readUInt32BE();
}
