import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, decode, decodeForeign, encode } from '../../../src/base/index.ts';

describe('codec', () => {
  it('keeps plain data as it was', () => {
    const plain = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.constant(null),
        fc.boolean(),
        fc.maxSafeInteger(),
        fc.double({ noNaN: true, noDefaultInfinity: true }).filter((each) => !Object.is(each, -0)),
        fc.string({ unit: 'binary' }),
        fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
        fc.array(tie('value'), { maxLength: 5 }),
        fc.dictionary(fc.string().filter(isOrdinaryKey), tie('value'), { maxKeys: 5, noNullPrototype: true }),
      ),
    })).value;
    fc.assert(fc.property(plain, (value) => assert.deepEqual(decode(encode(value)), value)));
  });

  it('keeps fields by whatever name', () => {
    const named = JSON.parse(
      '{"constructor":1,"toJSON":2,"length":3,"then":4,"hasOwnProperty":5,"2":6,"1":7}',
    );
    for (const value of [named, { a: [named] }, { toJSON: { constructor: null } }])
      assert.equal(JSON.stringify(decode(encode(value))), JSON.stringify(value));
  });

  it('gives a short value little memory to hold, however long the values before it were', () => {
    for (const length of [100, 20_000, 3_000_000, 100, 600_000, 100, 100]) {
      const bytes = encode(Buffer.alloc(length, 7));
      assert.deepEqual(decode(bytes), Buffer.alloc(length, 7));
      const heldBytes = bytes.buffer.byteLength - bytes.length;
      assert.ok(heldBytes <= 64 * 2 ** 10, `${length} bytes hold ${heldBytes} more`);
    }
  });

  it('leaves what it returned as it was, whatever is encoded later', () => {
    const length = fc.oneof(fc.nat(500), fc.nat(5_000), fc.nat(200_000));
    const value = fc.tuple(length, fc.nat(255)).map(([bytes, fill]) => Buffer.alloc(bytes, fill));
    const several = fc.array(value, { minLength: 2, maxLength: 20 });
    fc.assert(
      fc.property(several, (values) => {
        const encoded = values.map((each) => encode(each));
        assert.deepEqual(encoded.map(decode), values);
      }),
      { numRuns: 30 },
    );
  });

  it('makes of foreign bytes plain data, or an INVALID_REQUEST, and nothing else', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        const value = decodeOrRefuse(bytes);
        assert.ok(isPlain(value), `${Buffer.from(bytes).toString('hex')} became ${String(value)}`);
      }),
      { numRuns: 5_000 },
    );
  });

  describe('of a peer', () => {
    const nested = (depth: number, fill: (inner: unknown) => unknown) => {
      let value: unknown = 1;
      for (let level = 0; level < depth; level += 1) value = fill(value);
      return value;
    };
    const depthOf = (value: unknown): number => {
      if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return 0;
      return 1 + Math.max(0, ...Object.values(value).map(depthOf));
    };
    const takes = (bytes: Uint8Array, limit?: number) => {
      try {
        decodeForeign(bytes, limit);
        return true;
      } catch (error) {
        assert.ok(error instanceof AspenError && error.code === 'INVALID_REQUEST');
        return false;
      }
    };

    it('takes what is as deep as the limit and refuses what is deeper, whatever stands beside it', () => {
      const tree = fc.letrec<{ tree: unknown }>((tie) => ({
        tree: fc.oneof(
          { maxDepth: 9, withCrossShrink: true },
          fc.constantFrom(1, null, 'x', 70_000),
          fc.array(tie('tree'), { maxLength: 4 }),
          fc.dictionary(fc.constantFrom('a', 'b', 'c'), tie('tree'), { maxKeys: 3, noNullPrototype: true }),
        ),
      })).tree;
      fc.assert(
        fc.property(tree, fc.integer({ min: 1, max: 8 }), (value, limit) => {
          assert.equal(takes(encode(value), limit), depthOf(value) <= limit);
        }),
        { numRuns: 1_000 },
      );
      for (const fill of [(inner: unknown) => [inner], (inner: unknown) => ({ a: 1, inner, z: [] })]) {
        assert.ok(takes(encode(nested(255, fill))));
        assert.ok(!takes(encode(nested(257, fill))));
      }
    });

    it('refuses a frame full of empty lists before they take fifty times its room', () => {
      const full = (count: number) => {
        const bytes = Buffer.alloc(5 + count, 0x90);
        bytes[0] = 0xdd;
        bytes.writeUInt32BE(count, 1);
        return bytes;
      };
      assert.ok(takes(full(2 ** 20 - 5)), 'what a command may hold is taken');
      assert.ok(!takes(full(4 * 2 ** 20 - 5)));
    });
  });

  it('has no room for extensions: dates, records, errors, references', () => {
    const starts = [0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8];
    fc.assert(
      fc.property(
        fc.constantFrom(...starts),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        (start, rest) => {
          const value = decodeOrRefuse(Uint8Array.from([start, ...rest]));
          assert.ok(
            isPlain(value),
            `${start.toString(16)} ${Buffer.from(rest).toString('hex')} became ${String(value)}`,
          );
        },
      ),
      { numRuns: 5_000 },
    );
  });

  it('does not let foreign keys reach the prototype', () => {
    const bytes = Buffer.concat([
      Buffer.from([0x81, 0xa9]),
      Buffer.from('__proto__'),
      Buffer.from([0x81, 0xa1, 0x78, 0x01]),
    ]);
    const value = decodeOrRefuse(bytes) as { readonly x?: number };
    assert.equal(value.x, undefined);
    assert.equal(({} as { readonly x?: number }).x, undefined);
  });

  it('refuses more than one value, and half of one', () => {
    assert.throws(() => decode(Buffer.concat([encode(1), encode(2)])), { code: 'INVALID_REQUEST' });
    assert.throws(() => decode(encode('a longer text').subarray(0, 5)), { code: 'INVALID_REQUEST' });
    assert.throws(() => decode(new Uint8Array()), { code: 'INVALID_REQUEST' });
  });

  it('returns bytes that do not change when the message they came in does', () => {
    const message = Buffer.from(encode({ bytes: new Uint8Array([1, 2, 3]) }));
    const { bytes } = decode(message) as { readonly bytes: Uint8Array };
    message.fill(0);
    assert.deepEqual([...bytes], [1, 2, 3]);
  });
});

/** msgpackr renames it on purpose. */
function isOrdinaryKey(key: string): boolean {
  return key !== '__proto__';
}

function decodeOrRefuse(bytes: Uint8Array): unknown {
  try {
    return decode(bytes);
  } catch (error) {
    assert.ok(error instanceof AspenError, String(error));
    assert.equal(error.code, 'INVALID_REQUEST');
    return null;
  }
}

/** `undefined` is the one extension that is let in: what a codec writes for it. */
function isPlain(value: unknown): boolean {
  if (value === null || value === undefined || ['boolean', 'number', 'string'].includes(typeof value))
    return true;
  if (typeof value !== 'object') return false;
  if (value instanceof Uint8Array) return true;
  if (Array.isArray(value)) return value.every(isPlain);
  return Object.getPrototypeOf(value) === Object.prototype && Object.values(value).every(isPlain);
}
