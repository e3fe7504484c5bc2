import assert from 'node:assert/strict';
import { Utf8Pieces } from '../../../src/agent/handlers/utf8-pieces.ts';

const GREETING = Buffer.from('grüße');
const stdout = (attempt: number, offset: number, data: Uint8Array) => ({
  attempt,
  stream: 'stdout' as const,
  offset,
  data,
});

describe('output as text', () => {
  it('is cut between characters', () => {
    const pieces = new Utf8Pieces();
    const all = [
      ...pieces.add(stdout(1, 0, GREETING.subarray(0, 3))),
      ...pieces.add(stdout(1, 3, GREETING.subarray(3))),
    ];
    assert.deepEqual(
      all.map(({ offset, data }) => [offset, data]),
      [
        [0, 'gr'],
        [2, 'üße'],
      ],
    );
    assert.deepEqual(pieces.rest(), []);
  });

  it('of one attempt does not go on in another: the half of a character is told by itself', () => {
    const pieces = new Utf8Pieces();
    pieces.add(stdout(1, 0, GREETING.subarray(0, 3)));
    assert.deepEqual(pieces.add(stdout(2, 2 ** 40, Buffer.from('again'))), [
      { stream: 'stdout', offset: 2, data: 'ww==', encoding: 'base64' },
      { stream: 'stdout', offset: 2 ** 40, data: 'again' },
    ]);
  });
});
