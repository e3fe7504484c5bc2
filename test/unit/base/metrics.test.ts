import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  CountsBy,
  formatMetrics,
  Histogram,
  metric,
  metricBy,
  OTHER_SERIES,
  SERIES_LIMIT,
} from '../../../src/base/index.ts';

describe('metrics', () => {
  it('counts each observation in every bucket whose bound it does not exceed', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: 0, max: 20, noNaN: true })), (values) => {
        const bounds = [1, 2.5, 10];
        const histogram = new Histogram(bounds);
        for (const value of values) histogram.observe(value);
        const { buckets, count, sum } = histogram.sample();
        const twin = bounds.map((bound) => [bound, values.filter((value) => value <= bound).length]);
        assert.deepEqual(buckets, twin);
        assert.equal(count, values.length);
        assert.ok(Math.abs(sum - values.reduce((left, right) => left + right, 0)) < 1e-6);
      }),
    );
  });

  it('takes what is no duration for none', () => {
    const histogram = new Histogram([1]);
    for (const value of [-5, Number.NaN, Number.NEGATIVE_INFINITY]) histogram.observe(value);
    assert.deepEqual(histogram.sample(), { labels: {}, buckets: [[1, 3]], sum: 0, count: 3 });
  });

  it('keeps a bounded number of series, whatever values a label takes', () => {
    const counts = new CountsBy();
    for (let at = 0; at < 10 * SERIES_LIMIT; at += 1) counts.add(`code-${at}`);
    const samples = counts.samples('code');
    assert.equal(samples.length, SERIES_LIMIT + 1);
    assert.equal(
      samples.reduce((sum, { value }) => sum + value, 0),
      10 * SERIES_LIMIT,
    );
    const values = Array.from({ length: 1_000 }, (_, at): [string, number] => [`queue-${at}`, at]);
    const family = metricBy('gauge', 'aspen_queue', 'Queues.', { label: 'queue', values });
    assert.equal(family.samples.length, SERIES_LIMIT);
    assert.deepEqual(family.samples[0]?.labels, { queue: 'queue-999' });
    assert.deepEqual(family.samples.at(-1)?.labels, { queue: OTHER_SERIES });
  });

  it('writes what Prometheus reads', () => {
    const histogram = new Histogram([0.5, 1]);
    histogram.observe(0.75);
    const text = formatMetrics([
      metric('gauge', 'aspen_raft_term', 'Term.', 7),
      metric('gauge', 'aspen_absent', 'Nothing to tell.', undefined),
      metricBy('gauge', 'aspen_queue', 'A "queue" \\ its\nname.', {
        label: 'queue',
        values: [['a"b\\c\nd', 1]],
      }),
      {
        name: 'aspen_wait_seconds',
        help: 'Waits.',
        type: 'histogram',
        samples: [histogram.sample({ of: 'x' })],
      },
    ]);
    assert.equal(
      text,
      [
        '# HELP aspen_raft_term Term.',
        '# TYPE aspen_raft_term gauge',
        'aspen_raft_term 7',
        '# HELP aspen_queue A "queue" \\\\ its\\nname.',
        '# TYPE aspen_queue gauge',
        'aspen_queue{queue="a\\"b\\\\c\\nd"} 1',
        '# HELP aspen_wait_seconds Waits.',
        '# TYPE aspen_wait_seconds histogram',
        'aspen_wait_seconds_bucket{of="x",le="0.5"} 0',
        'aspen_wait_seconds_bucket{of="x",le="1"} 1',
        'aspen_wait_seconds_bucket{of="x",le="+Inf"} 1',
        'aspen_wait_seconds_sum{of="x"} 0.75',
        'aspen_wait_seconds_count{of="x"} 1',
        '',
      ].join('\n'),
    );
  });
});
