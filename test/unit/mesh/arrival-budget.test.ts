import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Arrival, ArrivalBudget } from '../../../src/mesh/arrival-budget.ts';

const LIMITS = { places: 512, placesPerSource: 64 };

/** A budget on a clock that stands until it is moved. */
function budgetAt(limits = LIMITS) {
  const time = { ms: 1_000 };
  const budget = new ArrivalBudget({ monotonicMs: () => time.ms }, limits);
  /** Strangers that come at a rate for so long, and give their places back at once. @returns how many began. */
  const flood = (sources: readonly string[], perSecond: number, forMs: number): number => {
    let begun = 0;
    let arrived = 0;
    for (const endMs = time.ms + forMs; time.ms < endMs; time.ms += 10)
      for (let count = 0; count < perSecond / 100; count += 1) {
        const arrival = budget.take(sources[arrived % sources.length] as string);
        arrived += 1;
        if (arrival !== undefined) begun += 1;
        arrival?.end();
      }
    return begun;
  };
  return { budget, time, flood };
}

const addresses = (count: number, net = 'a') => Array.from({ length: count }, (_, at) => `${net}${at}`);

describe('the budget of arrivals', () => {
  it('F4 what a flood of strangers may begin is bounded, however many come', () => {
    const { flood } = budgetAt();
    const begun = flood(addresses(250), 2_000, 60_000);
    const asFresh = 512 + 128 * 3; // until each has been turned away often enough to be doubtful
    assert.ok(begun < asFresh + 128 + 32 * 60, `${begun} handshakes`);
    assert.ok(flood(addresses(250), 2_000, 10_000) < 1_000, 'and less of those that are known to flood');
  });

  it('F4 a newcomer from an address that was quiet comes in while 250 others flood, each time it tries', () => {
    const { budget, flood } = budgetAt();
    flood(addresses(250), 2_000, 10_000);
    for (let newcomer = 0; newcomer < 40; newcomer += 1) {
      flood(addresses(250), 2_000, 500);
      assert.equal(budget.standingOf(`new ${newcomer}`), 'fresh');
      const arrival = budget.take(`new ${newcomer}`);
      assert.ok(arrival !== undefined, `newcomer ${newcomer}`);
      arrival.end();
    }
  });

  it('F4 a newcomer that tries again comes in soon, though a flood that keeps its places began before it', () => {
    for (const firstTryMs of [500, 1_000, 3_000, 5_000]) {
      const { budget, time } = budgetAt();
      const held: { readonly arrival: Arrival; readonly untilMs: number }[] = [];
      const sources = addresses(250);
      const startMs = time.ms;
      let cameInMs = Number.POSITIVE_INFINITY;
      for (let arrived = 0; time.ms - startMs < 30_000; arrived += 1) {
        while ((held[0]?.untilMs ?? Number.POSITIVE_INFINITY) <= time.ms) held.shift()?.arrival.end();
        const arrival = budget.take(sources[arrived % sources.length] as string);
        if (arrival !== undefined) held.push({ arrival, untilMs: time.ms + 6_000 });
        const sinceMs = time.ms - startMs - firstTryMs;
        const isTry = sinceMs >= 0 && sinceMs % 2_000 === 0 && cameInMs === Number.POSITIVE_INFINITY;
        for (let dial = 0; isTry && dial < 3; dial += 1)
          if (budget.take('newcomer') !== undefined) cameInMs = sinceMs;
        time.ms += 1;
      }
      assert.ok(
        cameInMs <= 10_000,
        `came in after ${cameInMs} ms, the first try ${firstTryMs} ms after the flood`,
      );
    }
  });

  it('F4 strangers that keep their places leave some for newcomers, and more for members', () => {
    const { budget, time } = budgetAt();
    budget.prove('member');
    for (const source of addresses(4)) for (let count = 0; count < 60; count += 1) budget.take(source);
    time.ms += 1;
    assert.ok(budget.take('a0') === undefined, 'doubtful ones have none left');
    const newcomers = addresses(1_000, 'n').filter((source) => budget.take(source) !== undefined);
    assert.ok(newcomers.length > 200, `${newcomers.length} newcomers`);
    assert.ok(budget.total <= 384);
    const members = Array.from({ length: 64 }, () => budget.take('member'));
    assert.ok(members.every((arrival) => arrival !== undefined));
  });

  it("F4 a member's handshake costs its address nothing, and makes it known", () => {
    const { budget } = budgetAt();
    for (let count = 0; count < 1_000; count += 1) {
      const arrival = budget.take('member') as Arrival;
      arrival.proved();
      arrival.end();
    }
    assert.deepEqual([budget.standingOf('member'), budget.refusedCount, budget.total], ['known', 0, 0]);
  });

  it('F4 a known address that floods is held to a rate of its own', () => {
    const { budget, flood } = budgetAt();
    budget.prove('office');
    budget.prove('home');
    const begun = flood(['office'], 2_000, 10_000);
    assert.ok(begun <= 128 + 16 * 10 + 1, `${begun} handshakes`);
    assert.ok(budget.take('home') !== undefined);
  });

  it('is fresh again after a rest', () => {
    const { budget, time, flood } = budgetAt();
    flood(['a'], 100, 200);
    assert.equal(budget.standingOf('a'), 'doubtful');
    time.ms += 10 * 60_000;
    assert.equal(budget.standingOf('a'), 'fresh');
  });

  it('lets everybody of one machine come while there is no flood', () => {
    const { budget } = budgetAt();
    const first = budget.take('127.0.0.1') as Arrival;
    first.end();
    for (let count = 0; count < 60; count += 1) (budget.take('127.0.0.1') as Arrival).end();
    budget.prove('127.0.0.1');
    for (let count = 0; count < 100; count += 1) (budget.take('127.0.0.1') as Arrival).end();
    assert.equal(budget.refusedCount, 0);
  });

  it('remembers a bounded number of addresses, and goes on', () => {
    const { budget, flood } = budgetAt();
    budget.prove('member');
    flood(addresses(10_000), 2_000, 10_000);
    assert.equal(budget.standingOf('member'), 'known');
    assert.ok(budget.take('member') !== undefined);
  });

  it('counts places and credit right, whatever comes in whatever order', () => {
    const source = fc.constantFrom('a', 'b', 'c', 'd');
    const action = fc.oneof(
      source.map((of) => ({ type: 'take' as const, of })),
      fc.nat(80).map((at) => ({ type: 'end' as const, at })),
      fc.nat(80).map((at) => ({ type: 'proved' as const, at })),
      fc.nat(5_000).map((ms) => ({ type: 'wait' as const, ms })),
    );
    fc.assert(
      fc.property(fc.array(action, { maxLength: 120 }), (actions) => {
        const { budget, time } = budgetAt({ places: 16, placesPerSource: 6 });
        const places: { readonly of: string; isHeld: boolean; readonly arrival: Arrival }[] = [];
        const held = (of?: string) =>
          places.filter((place) => place.isHeld && (of ?? place.of) === place.of).length;
        for (const one of actions) {
          if (one.type === 'wait') time.ms += one.ms;
          else if (one.type === 'take') {
            const arrival = budget.take(one.of);
            if (arrival !== undefined) places.push({ of: one.of, isHeld: true, arrival });
          } else {
            const place = places[one.at % Math.max(1, places.length)];
            if (one.type === 'proved') place?.arrival.proved();
            else place?.arrival.end();
            if (place !== undefined && one.type === 'end') place.isHeld = false;
          }
          assert.equal(budget.total, held());
          for (const each of ['a', 'b', 'c', 'd']) assert.ok(held(each) <= 6);
        }
        for (const { arrival } of places) arrival.end();
        assert.equal(budget.total, 0);
        time.ms += 3_600_000;
        assert.ok(budget.take('e') !== undefined);
      }),
    );
  });
});
