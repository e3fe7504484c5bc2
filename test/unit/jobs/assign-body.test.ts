import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decode, encode } from '../../../src/base/index.ts';
import { assignBody, parseAssign, versionOfAssign } from '../../../src/jobs/assign-body.ts';

const place = fc.record(
  {
    peerId: fc.constantFrom('ann', 'bob', 'cid'),
    sessionId: fc.constantFrom('s1', 's2'),
    pool: fc.constantFrom(null, 'w1', 'w2'),
  },
  { noNullPrototype: true },
);
const alone = fc.tuple(fc.string(), place).map(([jobId, where]) => ({ jobId, ...where }));
const group = fc
  .tuple(alone, fc.array(place, { minLength: 1, maxLength: 4 }))
  .map(([first, others]) => ({ ...first, others }));
const assignments = fc.array(fc.oneof(alone, group), { maxLength: 20 });

describe('the body of an assign command', () => {
  for (const version of [2, 3])
    it(`says the same in version ${version}`, () => {
      fc.assert(
        fc.property(assignments, (given) => {
          const read = parseAssign(decode(encode(assignBody(given, version))));
          assert.deepEqual(read.assignments, given);
          assert.equal(versionOfAssign(read), version === 2 ? 1 : version);
        }),
      );
    });

  it('names each place once', () => {
    const job = (jobId: string) => ({ jobId, peerId: 'ann', sessionId: 's', pool: null });
    assert.deepEqual(assignBody([job('a'), job('b')], 3), {
      places: [['ann', 's', null]],
      jobs: [
        ['a', 0],
        ['b', 0],
      ],
    });
  });

  it('is refused where it names no such place', () => {
    for (const at of [1, -1, 0.5, null, 'x'])
      assert.throws(() => parseAssign({ places: [['ann', 's', null]], jobs: [['a', at]] }), {
        code: 'INVALID_PARAMS',
      });
  });
});
