/** Lists within lists, or maps within maps, in a message of a peer. Unit: levels. */
export const NESTING_LIMIT = 256;
/**
 * Lists and maps in a message of a peer: so many, and one more for each {@link BYTES_PER_CONTAINER} bytes. An empty one takes a byte on the
 * wire and some fifty in memory; what a mebibyte can hold is always allowed, since a command may be that long.
 */
export const FREE_CONTAINERS = 2 ** 20;
export const BYTES_PER_CONTAINER = 8;

/** For each list or map that is open, how many values were still to come when it began; reused, since the walk never yields. */
const openSince = new Float64Array(NESTING_LIMIT);

/**
 * Whether bytes are exactly one MessagePack value made of plain data: nil, booleans, numbers, strings, bytes, lists, maps, and `undefined` (which
 * msgpackr writes as extension 0). Everything else is refused before a decoder sees it, since decoders make of extensions what foreign bytes should
 * never become: cyclic structures, regular expressions, errors, records whose readers are compiled. Walks without recursion, in one pass.
 * @param nestingLimit at most {@link NESTING_LIMIT}: refuses likewise what is small here and deep or large once decoded. Paid for each list or
 *   map, not for each value. @default whatever depth and count
 * Source: the MessagePack specification, "Formats".
 */
export function isPlainMessagePack(bytes: Uint8Array, nestingLimit?: number): boolean {
  const { length } = bytes;
  let at = 0;
  /** Values still to come; each takes at least one byte. */
  let rest = 1;
  let containersLeft = FREE_CONTAINERS + length / BYTES_PER_CONTAINER;
  let depth = 0;
  while (rest > 0) {
    if (rest > length - at) return false;
    const token = bytes[at] as number;
    at += 1;
    rest -= 1;
    if (token <= 0x7f || token >= 0xe0) continue; // small numbers
    let items = 0;
    if (token <= 0x8f) items = 2 * (token & 0x0f);
    else if (token <= 0x9f) items = token & 0x0f;
    else if (token <= 0xbf) {
      at += token & 0x1f;
      continue;
    } else if (token === UNDEFINED && bytes[at] === 0) {
      at += 2;
      continue;
    } else {
      const format = FORMATS[token - FIRST_FORMAT] as Format;
      if (format === 'refused') return false;
      if (at + format.sizeBytes > length) return false;
      const size = format.sizeBytes === 0 ? 0 : bigEndian(bytes, at, format.sizeBytes);
      at += format.sizeBytes;
      if (format.counts === 'items') items = size;
      else if (format.counts === 'pairs') items = 2 * size;
      else {
        if (format.counts === 'bytes') at += size;
        continue;
      }
    }
    if (nestingLimit !== undefined) {
      containersLeft -= 1;
      // Whatever began with more values to come after it than there are now has ended.
      while (depth > 0 && (openSince[depth - 1] as number) > rest) depth -= 1;
      if (containersLeft < 0 || depth >= nestingLimit) return false;
      openSince[depth] = rest;
      depth += 1;
    }
    rest += items;
  }
  return at === length;
}

/** What follows a token: a number of `sizeBytes`, and then as many bytes, items or pairs as it says. */
type Format =
  | 'refused'
  | { readonly sizeBytes: number; readonly counts: 'bytes' | 'items' | 'pairs' | 'nothing' };

const FIRST_FORMAT = 0xc0;
/** fixext 1; with type 0 it is `undefined`, and has one byte that means nothing. */
const UNDEFINED = 0xd4;

const plain = (sizeBytes: number): Format => ({ sizeBytes, counts: 'nothing' });
const bytesOf = (sizeBytes: number): Format => ({ sizeBytes, counts: 'bytes' });

const FORMATS: readonly Format[] = [
  plain(0), // c0 nil
  'refused', // c1 never used
  plain(0), // c2 false
  plain(0), // c3 true
  ...[1, 2, 4].map(bytesOf), // c4 - c6 bin
  ...(['refused', 'refused', 'refused'] as const), // c7 - c9 ext
  ...[4, 8].map(plain), // ca, cb float
  ...[1, 2, 4, 8].map(plain), // cc - cf uint
  ...[1, 2, 4, 8].map(plain), // d0 - d3 int
  ...(['refused', 'refused', 'refused', 'refused', 'refused'] as const), // d4 - d8 fixext
  ...[1, 2, 4].map(bytesOf), // d9 - db str
  { sizeBytes: 2, counts: 'items' }, // dc, dd array
  { sizeBytes: 4, counts: 'items' },
  { sizeBytes: 2, counts: 'pairs' }, // de, df map
  { sizeBytes: 4, counts: 'pairs' },
];

function bigEndian(bytes: Uint8Array, at: number, count: number): number {
  let value = 0;
  for (let offset = 0; offset < count; offset += 1) value = value * 256 + (bytes[at + offset] as number);
  return value;
}
