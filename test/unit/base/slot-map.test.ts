import assert from 'node:assert/strict';
import { SeededRandom, SlotList, SlotMap } from '../../../src/base/index.ts';

const STEPS = 20_000;
const KEYS = 40;

describe('slot map', () => {
  it('does what a map does, whatever comes and goes', () => {
    const random = new SeededRandom(7);
    const slots = new SlotMap<string, { readonly step: number }>();
    const map = new Map<string, { readonly step: number }>();
    for (let step = 0; step < STEPS; step += 1) {
      const key = `key ${random.uint32() % KEYS}`;
      switch (random.uint32() % 4) {
        case 0:
          slots.set(key, { step });
          map.set(key, { step });
          break;
        case 1:
          assert.deepEqual(slots.replace(key, { step }), map.get(key));
          map.set(key, { step });
          break;
        case 2:
          assert.equal(slots.delete(key), map.delete(key));
          break;
        default:
          assert.deepEqual(slots.get(key), map.get(key));
      }
      assert.equal(slots.size, map.size);
      assert.equal(slots.has(key), map.has(key));
      if (step % 97 === 0) {
        assert.deepEqual(slots.entries(), [...map]);
        assert.deepEqual(slots.values(), [...map.values()]);
        assert.deepEqual([...slots.keys()], [...map.keys()]);
      }
      if (step % 4_999 === 0) {
        slots.clear();
        map.clear();
      }
    }
  });

  it('may be changed while its values are looked through', () => {
    const slots = new SlotMap<number, { readonly at: number }>();
    for (let at = 0; at < 10; at += 1) slots.set(at, { at });
    const seen: number[] = [];
    for (const { at } of slots.values()) {
      seen.push(at);
      slots.delete(at);
      slots.set(at + 100, { at: at + 100 });
    }
    assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert.equal(slots.size, 10);
  });
});

describe('slot list', () => {
  it('finds each value by its slot, and uses slots again', () => {
    const list = new SlotList<string>();
    const slots = ['a', 'b', 'c'].map((value) => list.add(value));
    assert.deepEqual(
      slots.map((slot) => list.get(slot)),
      ['a', 'b', 'c'],
    );
    list.remove(slots[1] as number);
    assert.equal(list.get(slots[1] as number), undefined);
    assert.deepEqual(list.values(), ['a', 'c']);
    assert.equal(list.add('d'), slots[1]);
    assert.equal(list.size, 3);
  });

  it('is empty after a burst, and goes on', () => {
    const list = new SlotList<number>();
    const slots = Array.from({ length: 5_000 }, (_, at) => list.add(at));
    for (const slot of slots) list.remove(slot);
    assert.equal(list.size, 0);
    assert.deepEqual(list.values(), []);
    assert.equal(list.get(list.add(1)), 1);
  });
});
