import { Packr } from 'msgpackr';
import { AspenError } from './errors.ts';
import { isPlainMessagePack, NESTING_LIMIT } from './msgpack-shape.ts';

// Plain maps, no shared structure table: a record written today must be readable by a process that never saw this one. A field called "toJSON"
// is a field like any other, beside one called "constructor" too.
const packr = new Packr({
  useRecords: false,
  moreTypes: false,
  int64AsType: 'number',
  copyBuffers: true,
  useToJSON: false,
});

/** What short values are written into, one after the other; each is a view of it. Unit: bytes. */
const WORKING_BYTES = 32 * 2 ** 10;
/** A working buffer that a long value has made longer than this is let go of. Unit: bytes. */
const GROWN_BYTES = 64 * 2 ** 10;

/** Short values are copied here to be read: msgpackr keeps the view that it needs of an array with that array, so that one serves them all. */
const SHORT_BYTES = 4_096;
const shortArray = new Uint8Array(SHORT_BYTES);
const shortBuffer = Buffer.allocUnsafeSlow(SHORT_BYTES);

/**
 * What is returned holds no more than {@link GROWN_BYTES} of memory beside itself. A long value stretches the encoder's buffer to four
 * times its length, and were that kept, every short value written into it later would hold megabytes for as long as it lives.
 * @returns `value` as MessagePack. `undefined` properties are kept out by the caller; Maps, Dates and classes are not for the wire.
 */
export function encode(value: unknown): Uint8Array {
  const bytes = packr.pack(value);
  if (bytes.buffer.byteLength <= GROWN_BYTES) return bytes;
  packr.useBuffer(Buffer.allocUnsafeSlow(WORKING_BYTES));
  return Buffer.from(bytes);
}

/**
 * For bytes that this node, or the group, has written.
 * @returns plain data, whatever the bytes are; the caller checks its shape.
 * @throws AspenError INVALID_REQUEST when the bytes are not one MessagePack value.
 */
export function decode(bytes: Uint8Array): unknown {
  if (!isPlainMessagePack(bytes)) throw notMessagePack(bytes);
  try {
    return unpack(bytes);
  } catch (cause) {
    throw notMessagePack(bytes, cause); // lists within lists, deeper than the stack
  }
}

/**
 * For bytes that a peer has written: as {@link decode}, and what would be deep or large once decoded is refused before it is.
 * @param nestingLimit levels of lists and maps, at most {@link NESTING_LIMIT}.
 * @throws AspenError INVALID_REQUEST
 */
export function decodeForeign(bytes: Uint8Array, nestingLimit: number = NESTING_LIMIT): unknown {
  if (!isPlainMessagePack(bytes, nestingLimit)) throw notWithinLimits(bytes, nestingLimit);
  try {
    return unpack(bytes);
  } catch (cause) {
    throw notMessagePack(bytes, cause); // a list or a map as the key of a map
  }
}

/** As {@link decode}; undefined where that throws, for what counts as absent when it cannot be read. */
export function decodeOrUndefined(bytes: Uint8Array): unknown {
  return orUndefined(() => decode(bytes));
}

/** As {@link decodeForeign}; undefined where that throws, for what counts as absent when it cannot be read. */
export function decodeForeignOrUndefined(bytes: Uint8Array): unknown {
  return orUndefined(() => decodeForeign(bytes));
}

function orUndefined(read: () => unknown): unknown {
  try {
    return read();
  } catch (error) {
    if (error instanceof AspenError) return undefined;
    throw error;
  }
}

/** Byte strings in it come as arrays of the class of `bytes`. */
function unpack(bytes: Uint8Array): unknown {
  if (bytes.length > SHORT_BYTES) return packr.unpack(bytes);
  const copy = Buffer.isBuffer(bytes) ? shortBuffer : shortArray;
  copy.set(bytes);
  return packr.unpack(copy, bytes.length);
}

function notMessagePack(bytes: Uint8Array, cause?: unknown): AspenError {
  return new AspenError('INVALID_REQUEST', `not one plain MessagePack value (${bytes.length} bytes)`, {
    cause,
  });
}

function notWithinLimits(bytes: Uint8Array, nestingLimit: number): AspenError {
  const what = `not one plain MessagePack value of at most ${nestingLimit} levels (${bytes.length} bytes)`;
  return new AspenError('INVALID_REQUEST', what);
}
