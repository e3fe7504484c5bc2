import assert from 'node:assert/strict';
import { osLull } from '../../../src/base/os-lull.ts';

describe('a lull of the process', () => {
  /** Keeps the process busy, turn after turn, until it is told to end. @returns how many turns there were. */
  const busy = (turnMs: number) => {
    let turns = 0;
    let isOver = false;
    const turn = () => {
      turns += 1;
      const endMs = performance.now() + turnMs;
      while (performance.now() < endMs);
      if (!isOver) setImmediate(turn);
    };
    setImmediate(turn);
    return () => {
      isOver = true;
      return turns;
    };
  };

  it('comes where there is nothing to do', async () => {
    await osLull();
    await Promise.all([osLull(), osLull()]);
  });

  it('lets what is to be done go first, and comes also where that does not end', async () => {
    const end = busy(1);
    await osLull();
    const turns = end();
    assert.ok(turns >= 2, `${turns} turns`);
  });
});
