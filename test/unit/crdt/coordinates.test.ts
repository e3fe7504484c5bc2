import assert from 'node:assert/strict';
import fc from 'fast-check';
import { type Coordinate, estimateRttMs, randomInt, SeededRandom } from '../../../src/base/index.ts';
import { isCoordinate } from '../../../src/crdt/coordinates.ts';
import { moved, ORIGIN } from '../../../src/crdt/index.ts';

describe('network coordinates', () => {
  it('come to estimate round trips that were never measured', () => {
    const random = new SeededRandom(4);
    // Two data centres 80 ms apart, machines with access links of their own.
    const places = Array.from({ length: 12 }, (_, at) => ({
      x: at % 2 === 0 ? 0 : 80,
      link: 0.3 + (at % 5),
    }));
    const rttOf = (from: number, to: number) => {
      const [one, other] = [places[from]!, places[to]!];
      return Math.abs(one.x - other.x) + one.link + other.link;
    };
    const own: Coordinate[] = places.map(() => ORIGIN);
    for (let round = 0; round < 6_000; round += 1) {
      const [from, to] = [0, 1].map(() => randomInt(random, { from: 0, to: places.length })) as [
        number,
        number,
      ];
      if (from === to || (from + to) % 7 === 0) continue; // some pairs never meet
      own[from] = moved(
        own[from]!,
        { remote: own[to]!, rttMs: rttOf(from, to) * (0.9 + (round % 3) / 10) },
        random,
      );
    }
    const errors = places.flatMap((_, from) =>
      places.flatMap((__, to) =>
        from === to
          ? []
          : [Math.abs(estimateRttMs(own[from]!, own[to]!) - rttOf(from, to)) / rttOf(from, to)],
      ),
    );
    const median = errors.toSorted((left, right) => left - right)[errors.length >> 1]!;
    assert.ok(median < 0.2, `median error ${median}`);
    assert.ok(own.every(({ error }) => error < 0.5));
  });

  it('stay numbers whatever is measured and whatever others claim', () => {
    const part = fc.double({ min: -60_000, max: 60_000, noNaN: true });
    const remote = fc.record({
      xMs: part,
      yMs: part,
      heightMs: fc.double({ min: 1e-9, max: 60_000, noNaN: true }),
      error: fc.double({ min: 1e-9, max: 1.5, noNaN: true }),
    });
    const steps = fc.array(fc.record({ remote, rttMs: fc.double() }), { maxLength: 20 });
    fc.assert(
      fc.property(steps, fc.nat(), (measurements, seed) => {
        const random = new SeededRandom(seed);
        let own = ORIGIN;
        for (const measurement of measurements) {
          own = moved(own, measurement, random);
          assert.ok(isCoordinate({ ...own }), JSON.stringify(own));
        }
      }),
    );
  });

  it('two nodes at one point part', () => {
    const own = moved(ORIGIN, { remote: ORIGIN, rttMs: 50 }, new SeededRandom(1));
    assert.ok(Math.hypot(own.xMs, own.yMs) > 1);
  });
});
