import { type Explanation, explain, type NodeView } from '../affinity/index.ts';
import { placementOf } from './plan.ts';
import { isFinal, type JobRecord } from './record.ts';
import type { Dependency, DependencyOn } from './spec.ts';
import type { Held } from './starts.ts';

/** Why a job is not running, or what it waits for. */
export interface JobExplanation {
  readonly state: JobRecord['state'];
  /** One phrase; null when the job is final. */
  readonly waitingFor: string | null;
  /** Every node that holds a session, with what rules it out now. */
  readonly nodes: { readonly peerId: string; readonly fits: boolean; readonly reasons: string[] }[];
}

/** What else than nodes a job may wait for. */
export interface Surroundings {
  /** What holds the job back, wherever it would run. */
  readonly held: Held | undefined;
  /** The state of another job; undefined for one that is not known any more. */
  readonly stateOf: (id: string) => JobRecord['state'] | undefined;
}

/** @param views one for each pool of a node. */
export function explainJob(
  record: JobRecord,
  views: readonly NodeView[],
  { held, stateOf }: Surroundings,
): JobExplanation {
  const nodes = [...Map.groupBy(views, ({ peerId }) => peerId).values()];
  const explained = nodes.map((pools) => explainNode(record, pools));
  return {
    state: record.state,
    waitingFor: held?.reason ?? waitingFor(record, explained, stateOf),
    nodes: explained.map(({ peerId, fits, reasons }) => ({ peerId, fits, reasons: [...reasons] })),
  };
}

/**
 * One answer for all pools of a node: it fits when one of them does. Otherwise those that offer the type speak, each for itself, and
 * where none does, the node as a whole.
 */
function explainNode(record: JobRecord, pools: readonly NodeView[]): Explanation {
  const placement = placementOf(record.spec);
  const offering = pools.filter(({ types }) => types.includes(placement.type));
  if (offering.length === 0) return explain(placement, [asOne(pools)])[0] as Explanation;
  const explained = explain(placement, offering);
  return {
    peerId: (pools[0] as NodeView).peerId,
    fits: explained.some(({ fits }) => fits),
    isEligible: explained.some(({ isEligible }) => isEligible),
    reasons: explained.some(({ fits }) => fits)
      ? []
      : explained.flatMap(({ reasons }, at) => reasons.map((reason) => inNameOf(offering[at], reason))),
  };
}

function asOne(pools: readonly NodeView[]): NodeView {
  const [own] = pools as readonly [NodeView];
  const sum = (slots: (view: NodeView) => number) => pools.reduce((total, view) => total + slots(view), 0);
  return {
    ...own,
    types: [...new Set(pools.flatMap(({ types }) => types))],
    totalSlots: sum(({ totalSlots }) => totalSlots),
    freeSlots: sum(({ freeSlots }) => freeSlots),
  };
}

function inNameOf(view: NodeView | undefined, reason: string): string {
  const pool = view?.pool ?? null;
  return pool === null ? reason : `attached worker ${pool}: ${reason}`;
}

function waitingFor(
  record: JobRecord,
  nodes: readonly { readonly fits: boolean; readonly isEligible: boolean }[],
  stateOf: (id: string) => JobRecord['state'] | undefined,
): string | null {
  if (isFinal(record.state)) return null;
  if (record.state === 'paused') return 'somebody to resume it';
  if (record.state === 'blocked') return parentsOf(record, stateOf);
  if (record.state === 'running') return `attempt ${record.attempt} to end`;
  if (record.state === 'cancelling') return 'its worker to prove that the attempt is over';
  if (record.state === 'scheduled') return timeOf(record);
  if (nodes.length === 0) return 'a node that runs jobs';
  if (nodes.some(({ fits }) => fits)) return 'its turn: a node fits and has a free slot';
  if (nodes.some(({ isEligible }) => isEligible))
    return 'a node that fits to be heard and to have a free slot';
  return `a node that fits: none of ${nodes.length} does`;
}

/** Its first open parent by name, the others by number. */
function parentsOf(
  { spec, unmet }: JobRecord,
  stateOf: (id: string) => JobRecord['state'] | undefined,
): string {
  const [first, ...others] = unmet.map((at) => spec.dependsOn[at] as Dependency);
  if (first === undefined) return 'its parents';
  const state = stateOf(first.id);
  const told = state === undefined ? 'not known any more' : state;
  const advice = state !== undefined && isFinal(state) ? `; retry ${first.id}, or cancel this job` : '';
  const rest = others.length === 0 ? '' : `, and ${others.length} more`;
  return `${first.id} ${WANTED[first.on]}${rest} (it is ${told}${advice})`;
}

const WANTED: Readonly<Record<DependencyOn, string>> = {
  success: 'to succeed',
  failure: 'to fail',
  any: 'to end',
};

function timeOf({ attempt, dueGroupMs, spec, error }: JobRecord): string {
  if (attempt > 0 && error !== null)
    return `the pause after attempt ${attempt}, which failed: ${error.message}`;
  if (dueGroupMs === null && spec.runAtMs !== null)
    return `its time, ${new Date(spec.runAtMs).toISOString()}`;
  return `its delay of ${spec.delayMs} ms to pass`;
}
