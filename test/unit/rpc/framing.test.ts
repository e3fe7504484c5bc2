import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type LineEvent, LineSplitter } from '../../../src/rpc/index.ts';

const LIMIT = 64;

/** The slow, obvious twin: the whole stream at once, byte by byte. */
function splitSlowly(bytes: Buffer, limit: number): LineEvent[] {
  const events: LineEvent[] = [];
  let line: number[] = [];
  for (const byte of bytes) {
    if (byte === 0x0a) {
      const text = Buffer.from(line).toString('utf8');
      const isUtf8 = Buffer.from(text).equals(Buffer.from(line));
      if (!isUtf8) events.push({ type: 'not-utf8' });
      else if (text !== '' && text !== '\r') events.push({ type: 'line', text });
      line = [];
      continue;
    }
    line.push(byte);
    if (line.length > limit) return [...events, { type: 'oversize' }];
  }
  return events;
}

function splitInChunks(chunks: readonly Buffer[], limit: number): LineEvent[] {
  const splitter = new LineSplitter(limit);
  return chunks.flatMap((chunk) => splitter.push(chunk));
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [
    0,
    ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b),
    bytes.length,
  ];
  return sorted.slice(1).map((end, at) => bytes.subarray(sorted[at], end));
}

const piece = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }).map((text) => Buffer.from(text)),
  fc.constantFrom('\n', '\r\n', '\n\n', '{"a":1}\n').map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 12 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: LIMIT - 2, max: LIMIT + 2 }).map((length) => Buffer.alloc(length, 'x')),
);

describe('splitting a stream into lines', () => {
  it('R1: gives the same lines however the bytes were cut into chunks', () => {
    fc.assert(
      fc.property(
        fc.array(piece, { maxLength: 12 }),
        fc.array(fc.nat(), { maxLength: 10 }),
        (pieces, places) => {
          const bytes = Buffer.concat(pieces);
          assert.deepEqual(splitInChunks(cut(bytes, places), LIMIT), splitSlowly(bytes, LIMIT));
        },
      ),
      { numRuns: 500 },
    );
  });

  it('R1: gives the same lines one byte at a time', () => {
    const bytes = Buffer.from('{"a":"ä€😀"}\n\n{"b":2}\r\nhalf');
    const chunks = [...bytes].map((byte) => Buffer.from([byte]));
    assert.deepEqual(splitInChunks(chunks, LIMIT), [
      { type: 'line', text: '{"a":"ä€😀"}' },
      { type: 'line', text: '{"b":2}\r' },
    ]);
  });

  it('goes on after a line that is not UTF-8', () => {
    const bytes = Buffer.concat([
      Buffer.from([0xff, 0x0a]),
      Buffer.from('fine\n'),
      Buffer.from([0xc3, 0x0a]),
    ]);
    assert.deepEqual(splitInChunks([bytes], LIMIT), [
      { type: 'not-utf8' },
      { type: 'line', text: 'fine' },
      { type: 'not-utf8' },
    ]);
  });

  it('R3: says once that a line is too long, before its end came, and nothing after', () => {
    const splitter = new LineSplitter(LIMIT);
    assert.deepEqual(splitter.push(Buffer.alloc(LIMIT, 'x')), []);
    assert.deepEqual(splitter.push(Buffer.from('x')), [{ type: 'oversize' }]);
    assert.deepEqual(splitter.push(Buffer.from('\n{"a":1}\n')), []);
  });

  it('R2: joins a long line from many chunks in time that grows with its length, not its square', () => {
    const splitter = new LineSplitter();
    const chunk = Buffer.alloc(1_024, 'x');
    for (let count = 0; count < 15 * 1_024; count += 1) splitter.push(chunk);
    const [line] = splitter.push(Buffer.from('\n'));
    assert.equal(line?.type === 'line' && line.text.length, 15 * 2 ** 20);
  }).timeout(5_000);
});
