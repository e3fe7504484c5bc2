import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { PeerId } from '../../../src/base/index.ts';
import { AddressHints } from '../../../src/discovery/address-hints.ts';
import { RecordShelf } from '../../../src/discovery/record-shelf.ts';
import {
  Allowance,
  isOfNow,
  isPublishingDue,
  isShortOfLinks,
  PUBLISH_PAUSE_MS,
  RECORD_AGE_MS,
  RECORD_AHEAD_MS,
  searchPauseMs,
} from '../../../src/discovery/table-rules.ts';
import { ManualClock } from '../mesh/support.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const peer = (name: string) => name as PeerId;

describe('what a node keeps of the table', () => {
  let clock: ManualClock;
  let shelf: RecordShelf;
  beforeEach(() => {
    clock = new ManualClock();
    shelf = new RecordShelf(clock, { recordsLimit: 2, providersLimit: 2, namesLimit: 2, keepMs: 1_000 });
  });

  it('H1 is bounded: what was put longest ago makes room', () => {
    for (const key of ['a', 'b', 'a', 'c']) shelf.put(key, bytes(key));
    assert.deepEqual(
      ['a', 'b', 'c'].map((key) => shelf.get(key) !== undefined),
      [true, false, true],
    );
    for (const name of ['p', 'q', 'r']) shelf.putProvider(peer(name), bytes(name));
    assert.deepEqual(
      shelf.providers().map(([name]) => name),
      ['r', 'q'],
    );
  });

  it('H1 ends when nobody puts it again', async () => {
    shelf.put('a', bytes('a'));
    shelf.putProvider(peer('p'), bytes('p'));
    await clock.advance(600);
    shelf.put('a', bytes('a'));
    await clock.advance(600);
    assert.ok(shelf.get('a') !== undefined);
    assert.deepEqual(shelf.providers(), []);
    await clock.advance(600);
    assert.equal(shelf.get('a'), undefined);
    assert.equal(shelf.recordCount, 0);
  });

  it('H2 an earlier record changes nothing, the same one may come again', () => {
    assert.ok(shelf.isLatest('a', 5));
    assert.ok(shelf.isLatest('a', 5));
    assert.ok(shelf.isLatest('a', 7));
    assert.ok(!shelf.isLatest('a', 6));
    assert.ok(shelf.isLatest('b', 1));
  });

  it('where others may be is bounded too', () => {
    const hints = new AddressHints({ peersLimit: 2, addressesLimit: 1 });
    hints.tell(peer('a'), ['/ip4/10.0.0.1/tcp/1', '/ip4/10.0.0.2/tcp/1']);
    hints.tell(peer('b'), ['/ip4/10.0.0.3/tcp/1']);
    hints.tell(peer('a'), []);
    hints.tell(peer('c'), ['/ip4/10.0.0.4/tcp/1']);
    assert.deepEqual(
      [hints.of(peer('a')), hints.of(peer('b')).length, hints.of(peer('c')).length],
      [[], 1, 1],
    );
  });
});

describe('when a node speaks with the table', () => {
  it('H3 a record counts for a day, and hardly before it was made', () => {
    const cases: readonly (readonly [offMs: number, isGood: boolean])[] = [
      [0, true],
      [-RECORD_AGE_MS, true],
      [-RECORD_AGE_MS - 1, false],
      [RECORD_AHEAD_MS, true],
      [RECORD_AHEAD_MS + 1, false],
    ];
    for (const [offMs, isGood] of cases) assert.equal(isOfNow(1e12 + offMs, 1e12), isGood, `${offMs} ms`);
  });

  it('it tells where it is at once, again after a while, and soon after that has changed', () => {
    const last = { addresses: 'x', atMs: 0, againMs: 100_000 };
    assert.ok(!isPublishingDue('', undefined, 0), 'there is nothing to tell');
    assert.ok(isPublishingDue('x', undefined, 0));
    assert.ok(!isPublishingDue('x', last, 99_999));
    assert.ok(isPublishingDue('x', last, 100_000));
    assert.ok(!isPublishingDue('y', last, PUBLISH_PAUSE_MS - 1));
    assert.ok(isPublishingDue('y', last, PUBLISH_PAUSE_MS));
  });

  it('it searches when fewer members are linked than there should be, and not for more than there are', () => {
    const cases: readonly (readonly [links: number, known: number, isShort: boolean])[] = [
      [0, 0, false],
      [0, 1, true],
      [2, 2, false],
      [2, 9, true],
      [3, 9, false],
    ];
    for (const [links, known, isShort] of cases)
      assert.equal(isShortOfLinks(links, known), isShort, `${links} of ${known}`);
  });

  it('it searches ever more rarely, and never stops', () => {
    const pauses = Array.from({ length: 20 }, (_, at) => searchPauseMs(at));
    assert.deepEqual(
      pauses,
      pauses.toSorted((left, right) => left - right),
    );
    assert.deepEqual([pauses[0], pauses[19]], [10_000, 600_000]);
  });

  it('H5 never more than allowed within any window, for each name', () => {
    const steps = fc.array(fc.tuple(fc.constantFrom('a', 'b'), fc.nat(500)), { maxLength: 100 });
    fc.assert(
      fc.property(steps, (asks) => {
        const allowance = new Allowance({ limit: 3, windowMs: 1_000 });
        const given: { name: string; atMs: number }[] = [];
        let nowMs = 0;
        for (const [name, afterMs] of asks) {
          nowMs += afterMs;
          if (allowance.take(peer(name), nowMs)) given.push({ name, atMs: nowMs });
        }
        // Windows follow each other: two of them meet at most within one of their length.
        return given.every(
          ({ name, atMs }) =>
            given.filter((other) => other.name === name && Math.abs(other.atMs - atMs) < 500).length <= 6,
        );
      }),
    );
  });
});
