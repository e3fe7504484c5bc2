import assert from 'node:assert/strict';
import { RecentIds } from '../../../src/mesh/recent-ids.ts';

describe('recent ids', () => {
  it('are known again within the window, however many there are', () => {
    const recent = new RecentIds<number>(10);
    for (let id = 0; id < 100; id += 1) {
      assert.equal(recent.add(id), true);
      for (let before = Math.max(0, id - 9); before <= id; before += 1)
        assert.equal(recent.add(before), false, `${before} after ${id}`);
    }
    assert.equal(recent.add(0), true);
  });

  it('are forgotten once they have aged twice, and not before', () => {
    const recent = new RecentIds<number>(10);
    recent.add(1);
    assert.equal(recent.age(), true);
    assert.equal(recent.add(1), false);
    recent.add(2);
    assert.equal(recent.age(), true);
    assert.equal(recent.add(2), false);
    assert.equal(recent.add(1), true);
    recent.age();
    assert.equal(recent.age(), false);
    assert.equal(recent.add(1), true);
  });
});
