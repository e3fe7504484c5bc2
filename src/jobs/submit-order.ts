import type { SubmitItem } from './submission.ts';

/**
 * The order in which the jobs of one command are taken up: as they came, but each after those of the same command that it depends on.
 *
 * - D4 What waits for itself is refused, with the way around; so the dependencies of accepted jobs have no cycle, since all others name
 *   jobs that were there before.
 */
export interface SubmitOrder {
  /** Places in the list of jobs. */
  readonly order: readonly number[];
  /** For each job on a cycle, or behind one: the ids of the cycle, the first one again at the end. */
  readonly cycles: ReadonlyMap<number, readonly string[]>;
}

/** @param isKnown whether a job is there already: whatever comes of that, it waits for nothing here. */
export function orderOf(jobs: readonly SubmitItem[], isKnown: (item: SubmitItem) => boolean): SubmitOrder {
  const placeOf = new Map<string, number>();
  for (const [at, { id }] of jobs.entries()) if (!placeOf.has(id)) placeOf.set(id, at);
  const parents = jobs.map((item) => {
    if (item.spec.dependsOn.length === 0 || isKnown(item)) return [];
    return item.spec.dependsOn.flatMap(({ id }) => placeOf.get(id) ?? []);
  });
  const openCounts = parents.map((places) => places.length);
  const children = childrenOf(parents);
  const order = jobs.flatMap((_, at) => (openCounts[at] === 0 ? [at] : []));
  for (let next = 0; next < order.length; next += 1) {
    for (const child of children[order[next] as number] ?? []) {
      openCounts[child] = (openCounts[child] as number) - 1;
      if (openCounts[child] === 0) order.push(child);
    }
  }
  const stuck = jobs.flatMap((_, at) => ((openCounts[at] as number) > 0 ? [at] : []));
  return { order, cycles: cyclesOf(stuck, parents, jobs) };
}

function childrenOf(parents: readonly (readonly number[])[]): number[][] {
  const children: number[][] = parents.map(() => []);
  for (const [child, places] of parents.entries()) for (const place of places) children[place]?.push(child);
  return children;
}

/** Whoever is stuck has a stuck parent, so that walking up always ends on a cycle. A walk stops where an earlier one has been. */
function cyclesOf(
  stuck: readonly number[],
  parents: readonly (readonly number[])[],
  jobs: readonly SubmitItem[],
): ReadonlyMap<number, readonly string[]> {
  const isStuck = new Set(stuck);
  const cycles = new Map<number, readonly string[]>();
  for (const start of stuck) {
    const walked: number[] = [];
    const placeIn = new Map<number, number>();
    let at = start;
    while (!placeIn.has(at) && !cycles.has(at)) {
      placeIn.set(at, walked.push(at) - 1);
      at = parents[at]?.find((parent) => isStuck.has(parent)) as number;
    }
    const known = cycles.get(at);
    const ring = walked.slice(placeIn.get(at) ?? walked.length);
    const names = known ?? [...ring, at].map((place) => (jobs[place] as SubmitItem).id);
    for (const place of walked) cycles.set(place, names);
  }
  return cycles;
}
