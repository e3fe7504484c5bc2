import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encodeWsFrame, WS_FRAME_BYTES_LIMIT, WsFrameReader } from '../../../src/mesh/ws-frames.ts';
import { failureOf } from './support.ts';

function reader(isMasked: boolean) {
  const heard = { data: [] as Buffer[], pings: [] as string[], closes: 0 };
  const frames = new WsFrameReader(isMasked, {
    data: (bytes) => heard.data.push(Buffer.from(bytes)),
    ping: (payload) => heard.pings.push(Buffer.from(payload).toString()),
    close: () => {
      heard.closes += 1;
    },
  });
  return { heard, push: (bytes: Uint8Array) => frames.push(Uint8Array.from(bytes)) };
}

const refused = (isMasked: boolean, bytes: Uint8Array) =>
  failureOf(Promise.resolve().then(() => reader(isMasked).push(bytes)));
const MASK = Buffer.from([0x37, 0xfa, 0x21, 0x3d]);

describe('frames of a WebSocket', () => {
  it('are written as the standard shows them', () => {
    const hello = Buffer.from('Hello');
    assert.deepEqual([...encodeWsFrame('binary', [hello])], [0x82, 5, ...hello]);
    assert.equal(encodeWsFrame('binary', [hello], MASK).toString('hex'), '828537fa213d7f9f4d5158');
    assert.equal(encodeWsFrame('binary', [Buffer.alloc(256)]).toString('hex', 0, 4), '827e0100');
    assert.equal(
      encodeWsFrame('binary', [Buffer.alloc(65_536)]).toString('hex', 0, 10),
      '827f0000000000010000',
    );
  });

  it('F3 give the bytes that were sent, whatever their sizes and however the stream is cut', () => {
    const sent = fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 8 });
    fc.assert(
      fc.property(sent, fc.boolean(), fc.integer({ min: 1, max: 97 }), (pieces, isMasked, cut) => {
        const wire = Buffer.concat(
          pieces.flatMap((piece) => [
            encodeWsFrame('binary', [piece.subarray(0, 3), piece.subarray(3)], isMasked ? MASK : undefined),
            encodeWsFrame('ping', [Buffer.from('p')], isMasked ? MASK : undefined),
          ]),
        );
        const { heard, push } = reader(isMasked);
        for (let at = 0; at < wire.length; at += cut) push(wire.subarray(at, at + cut));
        assert.deepEqual(Buffer.concat(heard.data), Buffer.concat(pieces));
        assert.equal(heard.pings.length, pieces.length);
      }),
    );
  });

  it('may come in parts, with others between them', () => {
    const { heard, push } = reader(false);
    push(Buffer.from([0x02, 1, 65, 0x89, 1, 80, 0x00, 1, 66, 0x80, 1, 67]));
    assert.equal(Buffer.concat(heard.data).toString(), 'ABC');
    assert.deepEqual(heard.pings, ['P']);
  });

  it('F3 are handed on before they are whole: what is announced is not held', () => {
    const { heard, push } = reader(false);
    push(encodeWsFrame('binary', [Buffer.alloc(WS_FRAME_BYTES_LIMIT, 1)]).subarray(0, 1_000));
    assert.equal(Buffer.concat(heard.data).length, 990);
  });

  it('mean nothing after the end', () => {
    const { heard, push } = reader(false);
    push(Buffer.concat([encodeWsFrame('close', []), encodeWsFrame('binary', [Buffer.from('x')])]));
    push(encodeWsFrame('binary', [Buffer.from('x')]));
    assert.deepEqual([heard.closes, heard.data.length], [1, 0]);
  });

  const wrong: readonly (readonly [string, boolean, readonly number[]])[] = [
    ['a text', false, [0x81, 1, 65]],
    ['not masked by the one that called', true, [0x82, 1, 65]],
    ['masked by the one that was called', false, [0x82, 0x81, 0, 0, 0, 0, 65]],
    ['compressed', false, [0xc2, 1, 65]],
    ['of an unknown kind', false, [0x83, 0]],
    ['more of nothing', false, [0x80, 1, 65]],
    ['a new one before the last one is whole', false, [0x02, 1, 65, 0x82, 1, 66]],
    ['a ping in parts', false, [0x09, 0]],
    ['a long ping', false, [0x89, 126, 0, 126]],
    ['longer than any', false, [0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1]],
    ['longer than anything', false, [0x82, 127, 255, 255, 255, 255, 255, 255, 255, 255]],
  ];
  for (const [name, isMasked, bytes] of wrong)
    it(`F3 are refused: ${name}`, async () => {
      assert.match(String(await refused(isMasked, Uint8Array.from(bytes))), /no frame of a WebSocket/);
    });
});
