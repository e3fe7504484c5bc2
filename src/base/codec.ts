import { Packr } from 'msgpackr';
import { AspenError } from './errors.ts';

// Plain maps, no shared structure table: a record written today must be readable by a process that never saw this one.
// Extensions are left out, so that foreign bytes can only become plain data.
const packr = new Packr({ useRecords: false, moreTypes: false, int64AsType: 'number', copyBuffers: true });

/** @returns `value` as MessagePack. `undefined` properties are kept out by the caller; Maps, Dates and classes are not for the wire. */
export function encode(value: unknown): Uint8Array {
  return packr.pack(value);
}

/**
 * @returns plain data; the caller checks its shape, whoever it came from.
 * @throws AspenError INVALID_REQUEST when the bytes are not one MessagePack value.
 */
export function decode(bytes: Uint8Array): unknown {
  try {
    return packr.unpack(bytes);
  } catch (cause) {
    throw new AspenError('INVALID_REQUEST', `not one MessagePack value (${bytes.length} bytes)`, { cause });
  }
}
