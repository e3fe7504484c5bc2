import type { FaultPlan, NemesisFault, NemesisStep } from '../ground/index.ts';

/** What of a seed's run is left: the same draws, and then less of what was drawn. */
export interface Reduction {
  /** Only the first so many nodes exist. */
  readonly nodeCount?: number;
  /** Faults and clients stop so long after the mesh was formed. Unit: ms. */
  readonly forMs?: number;
  /** Numbers of the steps that happen, counted from 0 in the plan of the seed. */
  readonly steps?: readonly number[];
}

/** @returns the plan without what the reduction takes away; what is left happens as before. */
export function reducedPlan(
  plan: FaultPlan,
  { steps, forMs = plan.calmAtMs }: Reduction,
  nodes: readonly string[],
): FaultPlan {
  const kept = plan.steps.filter((_, at) => steps === undefined || steps.includes(at));
  const inTime = kept
    .filter(({ atMs }) => atMs < forMs)
    .map((step) => ({ ...step, forMs: Math.min(step.forMs, forMs - step.atMs) }));
  return { ...plan, calmAtMs: forMs, steps: inTime.flatMap((step) => among(step, nodes)) };
}

/** The words of the command line that make this reduction. */
export function reductionFlags({ nodeCount, forMs, steps }: Reduction): string {
  return [
    nodeCount === undefined ? '' : ` --nodes ${nodeCount}`,
    forMs === undefined ? '' : ` --for ${forMs}`,
    steps === undefined ? '' : ` --steps ${steps.length === 0 ? 'none' : steps.join(',')}`,
  ].join('');
}

function among(step: NemesisStep, nodes: readonly string[]): NemesisStep[] {
  const fault = faultAmong(step.fault, nodes);
  return fault === undefined ? [] : [{ ...step, fault }];
}

function faultAmong(fault: NemesisFault, nodes: readonly string[]): NemesisFault | undefined {
  if ('node' in fault) return nodes.includes(fault.node) ? fault : undefined;
  if (!('from' in fault)) return fault;
  const [from, to] = [fault.from, fault.to].map((side) => side.filter((node) => nodes.includes(node)));
  return from?.length && to?.length ? { ...fault, from, to } : undefined;
}
