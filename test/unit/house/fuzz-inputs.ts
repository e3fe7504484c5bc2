import fc from 'fast-check';
import { encode } from '../../../src/base/index.ts';

/** Plain data of every kind that MessagePack carries, with the numbers and texts that checks trip over. */
export const plainValue: fc.Arbitrary<unknown> = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 5, withCrossShrink: true },
    fc.constantFrom(null, undefined, true, false, 0, -1, 1, 0.5, 2 ** 31, 2 ** 53, -(2 ** 53), 1e300),
    fc.constantFrom(
      Number.NaN,
      Number.POSITIVE_INFINITY,
      '',
      '__proto__',
      'constructor',
      'toString',
      '\u0000',
      '\ud800',
    ),
    fc.integer(),
    fc.string({ maxLength: 20 }),
    fc.uint8Array({ maxLength: 80 }),
    fc.array(tie('value'), { maxLength: 6 }),
    fc.dictionary(
      fc.oneof(
        fc.constantFrom('type', 'from', 'to', 'term', 'error', 'code', 'id', 'entries', 'length'),
        fc.string({ maxLength: 6 }),
      ),
      tie('value'),
      { maxKeys: 5, noNullPrototype: true },
    ),
  ),
})).value;

/** A change of a valid message that may leave most of it valid. */
type Edit = (bytes: Uint8Array) => Uint8Array;

const edit: fc.Arbitrary<Edit> = fc.oneof(
  fc.tuple(fc.nat(), fc.nat(255)).map(
    ([at, value]): Edit =>
      (bytes) => {
        const changed = Buffer.from(bytes);
        if (changed.length > 0) changed[at % changed.length] = value;
        return changed;
      },
  ),
  fc.nat().map(
    (at): Edit =>
      (bytes) =>
        bytes.subarray(0, at % (bytes.length + 1)),
  ),
  fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 8 })).map(
    ([at, added]): Edit =>
      (bytes) => {
        const place = at % (bytes.length + 1);
        return Buffer.concat([bytes.subarray(0, place), added, bytes.subarray(place)]);
      },
  ),
  fc.tuple(fc.nat(), fc.nat(16)).map(
    ([at, count]): Edit =>
      (bytes) => {
        const place = at % (bytes.length + 1);
        return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + count)]);
      },
  ),
  fc.tuple(fc.nat(), fc.nat(), fc.nat(24)).map(
    ([from, to, count]): Edit =>
      (bytes) => {
        const piece = bytes.subarray(from % (bytes.length + 1)).subarray(0, count);
        const place = to % (bytes.length + 1);
        return Buffer.concat([bytes.subarray(0, place), piece, bytes.subarray(place)]);
      },
  ),
);

/** Bytes of every degree of truth: random, plain data, and what was valid until it was changed. */
export function foreignBytes(valid: readonly Uint8Array[]): fc.Arbitrary<Uint8Array> {
  const random = fc.uint8Array({ maxLength: 200 });
  const plain = plainValue.map((value) => encode(value));
  if (valid.length === 0) return fc.oneof(random, plain);
  const changed = fc
    .tuple(fc.constantFrom(...valid), fc.array(edit, { minLength: 1, maxLength: 4 }))
    .map(([bytes, edits]) => edits.reduce<Uint8Array>((now, change) => change(now), bytes));
  return fc.oneof(
    { arbitrary: random, weight: 1 },
    { arbitrary: plain, weight: 2 },
    { arbitrary: changed, weight: 4 },
  );
}

/** Values of every degree of truth, for checks that are given what a frame held. */
export function foreignValue(valid: readonly unknown[]): fc.Arbitrary<unknown> {
  if (valid.length === 0) return plainValue;
  const changed = fc
    .tuple(fc.constantFrom(...valid), fc.nat(), plainValue)
    .map(([value, at, other]) => replaced(value, at, other));
  return fc.oneof({ arbitrary: plainValue, weight: 1 }, { arbitrary: changed, weight: 3 });
}

/** @returns the value with one of its parts, at whatever depth, replaced. */
function replaced(value: unknown, at: number, other: unknown): unknown {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return other;
  const entries = Object.entries(value);
  if (entries.length === 0 || at % 7 === 6) return other;
  const [key, part] = entries[at % entries.length] as [string, unknown];
  const inner = replaced(part, Math.floor(at / 7), other);
  if (Array.isArray(value)) return value.map((each, place) => (String(place) === key ? inner : each));
  return { ...value, [key]: inner };
}
