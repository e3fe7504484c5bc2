import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decode, encode } from '../../../src/base/index.ts';
import {
  decodeHeartbeat,
  decodeProfile,
  decodeProgress,
  encodeHeartbeat,
  encodeProfile,
  encodeProgress,
  LONGEST_PERIOD_MS,
} from '../../../src/crdt/profile.ts';
import { profileOf } from './support.ts';

const coordinate = { xMs: 1.5, yMs: -2, heightMs: 0.5, error: 0.25 };
const progress = { percent: 40, message: 'copying', counters: { files: 7 } };

describe('what nodes tell of themselves', () => {
  it('is read as it was told', () => {
    assert.deepEqual(decodeProfile(encodeProfile(profileOf('a'))), profileOf('a'));
    const heartbeat = { periodMs: 2_000, coordinate };
    assert.deepEqual(decodeHeartbeat(encodeHeartbeat(heartbeat)), heartbeat);
    assert.deepEqual(decodeProgress(encodeProgress({ fencingToken: 7, progress })), {
      fencingToken: 7,
      progress,
    });
  });

  it('is nothing when a member signed nonsense', () => {
    const decoders = [decodeProfile, decodeHeartbeat, decodeProgress];
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        for (const decoded of decoders) decoded(bytes); // none throws
      }),
    );
    const cases: readonly [string, unknown][] = [
      ['progress without a shape', [7, null]],
      ['a message that is no text', [7, { ...progress, message: { evil: true } }]],
      ['more than all of it', [7, { ...progress, percent: 101 }]],
      ['counters that do not count', [7, { ...progress, counters: { files: 'many' } }]],
      ['a token that no group gave', [-1, progress]],
      ['a heartbeat that is due never', [LONGEST_PERIOD_MS + 1, 1, 1, 1, 1]],
      ['a place that is no number', [2_000, Number.NaN, 1, 1, 1]],
      ['a profile with a text for slots', { ...profileOf('a'), slots: '16' }],
    ];
    for (const [what, value] of cases) {
      for (const decoded of decoders) assert.equal(decoded(encode(value)), undefined, what);
    }
  });

  it('leaves out what a newer version added', () => {
    const newer = encode({ ...(decode(encodeProfile(profileOf('a'))) as object), mood: 'good' });
    assert.deepEqual(decodeProfile(newer), profileOf('a'));
  });

  it('names the part that is not valid before anything is told', () => {
    assert.throws(() => encodeProfile(profileOf('a', { slots: -1 })), {
      code: 'INVALID_PARAMS',
      message: /slots/,
    });
    assert.throws(() => encodeProgress({ fencingToken: 1, progress: { ...progress, percent: 200 } }), {
      code: 'INVALID_PARAMS',
      message: /percent/,
    });
  });
});
