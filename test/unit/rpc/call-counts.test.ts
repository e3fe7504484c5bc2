import assert from 'node:assert/strict';
import { AspenError, type MetricFamily } from '../../../src/base/index.ts';
import { CallCounts } from '../../../src/rpc/index.ts';

describe('the counts of calls', () => {
  const requests = (families: readonly MetricFamily[]) =>
    families
      .find(({ name }) => name === 'aspen_rpc_requests_total')
      ?.samples.flatMap((sample) =>
        'value' in sample ? [[...Object.values(sample.labels), sample.value]] : [],
      );

  it('go by method and by what came of the call', () => {
    const counts = new CallCounts(() => 0);
    counts.begin('kv.get')();
    counts.begin('kv.get')();
    counts.begin('kv.get')(new AspenError('NO_QUORUM', 'nobody leads'));
    counts.begin('kv.put')(new Error('a fault'));
    counts.unknownMethod();
    assert.deepEqual(requests(counts.families()), [
      ['kv.get', 'OK', 2],
      ['kv.get', 'NO_QUORUM', 1],
      ['kv.put', 'OK', 0],
      ['kv.put', 'INTERNAL', 1],
      ['(unknown)', 'METHOD_NOT_FOUND', 1],
    ]);
  });

  it('time one call in eight, the first one included', () => {
    let nowMs = 0;
    const counts = new CallCounts(() => nowMs);
    for (let call = 0; call < 17; call += 1) {
      const end = counts.begin('kv.get');
      nowMs += 100;
      end();
    }
    const family = counts.families().find(({ type }) => type === 'histogram');
    const [sample] = family?.samples ?? [];
    assert.ok(sample !== undefined && 'count' in sample);
    assert.equal(sample.count, 3);
    assert.ok(Math.abs(sample.sum - 0.3) < 1e-9);
  });
});
