import type { Line, StartGate } from './plan.ts';
import type { ReadyJob } from './ready-queue.ts';
import type { StartBudget } from './start-budget.ts';

/** @returns what a plan asks about limits; undefined where nothing is limited. */
export function gateOf(budget: StartBudget | undefined): StartGate | undefined {
  if (budget === undefined) return undefined;
  return {
    held: (line, job) => {
      const held = budget.held(limited(line, job));
      return held === undefined ? undefined : held.by === 'key' ? 'job' : 'line';
    },
    start: (line, job) => budget.start(limited(line, job)),
  };
}

function limited({ owner, placement }: Line, { concurrencyKey }: ReadyJob) {
  return { ...owner, type: placement.type, concurrencyKey: concurrencyKey ?? null };
}
