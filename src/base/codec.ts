import { Packr } from 'msgpackr';
import { AspenError } from './errors.ts';
import { isPlainMessagePack } from './msgpack-shape.ts';

// Plain maps, no shared structure table: a record written today must be readable by a process that never saw this one.
const packr = new Packr({ useRecords: false, moreTypes: false, int64AsType: 'number', copyBuffers: true });

/** @returns `value` as MessagePack. `undefined` properties are kept out by the caller; Maps, Dates and classes are not for the wire. */
export function encode(value: unknown): Uint8Array {
  return packr.pack(value);
}

/**
 * @returns plain data, whatever the bytes are; the caller checks its shape, whoever it came from.
 * @throws AspenError INVALID_REQUEST when the bytes are not one MessagePack value.
 */
export function decode(bytes: Uint8Array): unknown {
  if (!isPlainMessagePack(bytes)) throw notMessagePack(bytes);
  try {
    return packr.unpack(bytes);
  } catch (cause) {
    throw notMessagePack(bytes, cause); // lists within lists, deeper than the stack
  }
}

function notMessagePack(bytes: Uint8Array, cause?: unknown): AspenError {
  return new AspenError('INVALID_REQUEST', `not one plain MessagePack value (${bytes.length} bytes)`, {
    cause,
  });
}
