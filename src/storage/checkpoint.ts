import { invariant } from '../base/index.ts';
import { openValue, sealValue } from './checked-value.ts';
import type { Checkpoint } from './journal-recovery.ts';
import type { Key, StoreView, Write } from './store.ts';

/** Up to where the base has taken over the journal. Nobody else sees it. */
export const CHECKPOINT_KEY: Key = 'j/checkpoint';
const CHECKPOINT_BYTES = 10;

/** @returns undefined for a base that never was behind a journal. */
export function readCheckpoint(base: Pick<StoreView, 'get'>): Checkpoint | undefined {
  const stored = base.get(CHECKPOINT_KEY);
  if (stored === undefined) return undefined;
  const bytes = Buffer.from(openValue(CHECKPOINT_KEY, stored));
  invariant(bytes.length === CHECKPOINT_BYTES, 'a checkpoint of the journal has another length');
  return { sequence: bytes.readUIntBE(0, 6), salt: bytes.readUInt32BE(6) };
}

export function checkpointWrite({ sequence, salt }: Checkpoint): Write {
  const bytes = Buffer.alloc(CHECKPOINT_BYTES);
  bytes.writeUIntBE(sequence, 0, 6);
  bytes.writeUInt32BE(salt, 6);
  return { type: 'put', key: CHECKPOINT_KEY, value: sealValue(CHECKPOINT_KEY, bytes) };
}
