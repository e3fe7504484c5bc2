import assert from 'node:assert/strict';
import { bridge, majoritiesRing, oneWay, partition, rulesOf } from '../../lab/network-faults.ts';
import { percentile } from '../../lab/report.ts';
import { outage } from '../../lab/round.ts';

/** Per machine, the machines that it hears. */
function heard(inbound: readonly { readonly dropFrom?: readonly number[] }[]): string[] {
  return inbound.map(({ dropFrom = [] }, machine) =>
    [...inbound.keys()].filter((other) => other !== machine && !dropFrom.includes(other)).join(''),
  );
}

describe('faults of the network', () => {
  it('a partition cuts between the groups, and who is in none is alone', () => {
    assert.deepEqual(heard(partition(5, [[0, 1], [2, 3]])), ['1', '0', '3', '2', '']); // biome-ignore format: one story a line
  });

  it('a bridge sees all, the others see the bridge', () => {
    assert.deepEqual(heard(bridge(3, 1)), ['1', '02', '1']);
  });

  it('in a ring of five each sees a majority, and no two the same', () => {
    assert.deepEqual(heard(majoritiesRing(5)), ['14', '02', '13', '24', '03']);
  });

  it('one way: the deaf hears nobody, the mute is heard by nobody', () => {
    assert.deepEqual(heard(oneWay(3, 0, 'deaf')), ['', '02', '01']);
    assert.deepEqual(heard(oneWay(3, 0, 'mute')), ['12', '2', '1']);
  });

  it('rules replace all that were there before', () => {
    assert.equal(rulesOf({}), 'table inet lab\ndelete table inet lab\n');
    assert.match(rulesOf({ dropFrom: [2] }), /ip saddr 10\.77\.0\.3 drop/);
    assert.match(rulesOf({ lossPercent: 10 }), /numgen random mod 100 < 10 drop/);
  });
});

describe('figures of the lab', () => {
  it('percentiles are values that were measured', () => {
    assert.equal(percentile([], 50), null);
    assert.equal(percentile([3, 1, 2], 50), 2);
    assert.equal(percentile([3, 1, 2], 99), 3);
  });

  it('an outage ends with the first answer to a write that was called after the loss', () => {
    const writes = [
      { calledMs: 5, atMs: 12 },
      { calledMs: 11, atMs: 40 },
      { calledMs: 20, atMs: 30 },
    ];
    assert.equal(outage([{ writes }], 10), 20);
    assert.equal(outage([{ writes: [] }], 10), null);
  });
});
