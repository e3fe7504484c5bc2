import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError, decode, encode } from '../../../src/base/index.ts';
import { decodeMessage, encodeReply } from '../../../src/mesh/message.ts';

const REPLY = 1;
const LONG_BYTES = 32 * 1024;

describe('an answer that is long bytes', () => {
  const id = fc.oneof(
    fc.integer({ min: 0, max: 300 }),
    fc.maxSafeNat(),
    fc.integer({ min: 60_000, max: 70_000 }),
  );
  const length = fc.integer({ min: LONG_BYTES - 2, max: 3 * LONG_BYTES });

  it('is written as any other message is, and read by who knows no short cut', () => {
    fc.assert(
      fc.property(id, length, (one, bytes) => {
        const body = new Uint8Array(bytes).fill(one);
        assert.deepEqual(decode(encodeReply(one, body)), [REPLY, one, Buffer.from(body)]);
      }),
      { numRuns: 50 },
    );
  });

  it('is read as it was written, whoever wrote it', () => {
    fc.assert(
      fc.property(id, length, (one, bytes) => {
        const body = new Uint8Array(bytes).fill(one);
        for (const frame of [encodeReply(one, body), encode([REPLY, one, body])]) {
          const message = decodeMessage(frame);
          assert.ok(message.kind === 'reply' && message.id === one);
          assert.ok(Buffer.from(message.body as Uint8Array).equals(body));
        }
      }),
      { numRuns: 50 },
    );
  });

  it('is a message or is refused, whatever was changed in it', () => {
    const frame = encodeReply(2 ** 40, new Uint8Array(LONG_BYTES));
    const change = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(3), (changes, cut) => {
        const changed = frame.slice(0, frame.length - cut);
        for (const [at, value] of changes) changed[at] = value;
        try {
          decodeMessage(changed);
        } catch (error) {
          assert.ok(error instanceof AspenError);
        }
      }),
    );
  });
});
