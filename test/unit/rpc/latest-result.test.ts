import assert from 'node:assert/strict';
import { resultOfLatest } from '../../../src/rpc/index.ts';

describe('the result of a record', () => {
  const result = { stdout: 'of the first' };
  const first = { attempt: 1, outcome: 'failed' };

  it('is that of the attempt that ended last', () => {
    assert.equal(resultOfLatest({ attempt: 1, history: [first], result }), result);
  });

  it('is not that of an attempt which still runs, or was lost', () => {
    assert.equal(resultOfLatest({ attempt: 2, history: [first], result }), null);
    const lost = { attempt: 2, outcome: 'lost' };
    assert.equal(resultOfLatest({ attempt: 2, history: [first, lost], result }), null);
  });
});
