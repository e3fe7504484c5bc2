import {
  explain,
  type NodeView,
  type Placement,
  type RankedNode,
  rank,
  type ScorePart,
} from '../affinity/index.ts';
import { type Coordinate, exactDuration, formatDuration, type PeerId } from '../base/index.ts';
import { placementOf } from './plan.ts';
import { isFinal, type JobRecord } from './record.ts';
import { maxLossesOf } from './retry.ts';
import type { Affinity, Dependency, DependencyOn } from './spec.ts';
import type { Held } from './start-rules.ts';

/** What the placement of a job makes of one node. */
export interface ExplainedNode {
  readonly peerId: string;
  /** The attached worker that ranks first there; null for what the node runs itself. */
  readonly pool: string | null;
  /** It could start the job now. */
  readonly fits: boolean;
  /** It could start the job now, or once it is heard, has a free slot and is not draining. */
  readonly isEligible: boolean;
  /** Comparable within one explanation; null where it does not fit now. */
  readonly score: number | null;
  /** What rules it out now; empty where it fits. */
  readonly reasons: readonly string[];
  /** What its score is the sum of; empty where it does not fit. */
  readonly parts: readonly ScorePart[];
}

/** Why a job is not running, or what it waits for. */
export interface JobExplanation {
  readonly state: JobRecord['state'];
  /** One phrase; null when the job is final. */
  readonly waitingFor: string | null;
  /** Every member that was heard of: the best first, then those that may fit later, then those that cannot. */
  readonly nodes: readonly ExplainedNode[];
}

/** What else than nodes a job may wait for. */
export interface Surroundings {
  /** What holds the job back, wherever it would run. */
  readonly held: Held | undefined;
  /** The state of another job; undefined for one that is not known any more. */
  readonly stateOf: (id: string) => JobRecord['state'] | undefined;
  readonly coordinateOf?: ((peerId: PeerId) => Coordinate | undefined) | undefined;
  /** What the leader's clocks show. */
  readonly now: { readonly groupMs: number; readonly wallMs: number };
}

/** @param views one for each pool of a node, and one for each member without a session. */
export function explainJob(
  record: JobRecord,
  views: readonly NodeView[],
  surroundings: Surroundings,
): JobExplanation {
  const { held, coordinateOf } = surroundings;
  const placement = placementOf(record.spec);
  const nearAt = placement.near === undefined ? undefined : coordinateOf?.(placement.near);
  const ranked = rank(placement, views, { seed: 0, nearAt });
  const byNode = [...Map.groupBy(views, ({ peerId }) => peerId).values()];
  const nodes = byNode
    .map((pools) => explainNode(placement, pools, ranked))
    .sort((left, right) => levelOf(right) - levelOf(left) || (left.peerId < right.peerId ? -1 : 1));
  return {
    state: record.state,
    waitingFor: held?.reason ?? waitingFor(record, nodes, views, surroundings),
    nodes,
  };
}

/** Those that fit by their score, which is never negative; then who may fit later, then the rest. */
function levelOf({ score, isEligible }: ExplainedNode): number {
  return score ?? (isEligible ? -1 : -2);
}

/**
 * One answer for all pools of a node: it fits when one of them does. Otherwise those that offer the type speak, each for itself, and
 * where none does, the node as a whole.
 */
function explainNode(
  placement: Placement,
  pools: readonly NodeView[],
  ranked: readonly RankedNode[],
): ExplainedNode {
  const { peerId } = pools[0] as NodeView;
  const first = ranked.find((one) => one.peerId === peerId);
  if (first !== undefined) {
    const { pool, score, parts } = first;
    return { peerId, pool, fits: true, isEligible: true, score, reasons: [], parts };
  }
  const offering = pools.filter(({ types }) => types.includes(placement.type));
  const asked = offering.length === 0 ? [asOne(pools)] : offering;
  const explained = explain(placement, asked);
  return {
    peerId,
    pool: null,
    fits: false,
    isEligible: explained.some(({ isEligible }) => isEligible),
    score: null,
    reasons: explained.flatMap(({ reasons }, at) => reasons.map((reason) => inNameOf(asked[at], reason))),
    parts: [],
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
  nodes: readonly ExplainedNode[],
  views: readonly NodeView[],
  { stateOf, now }: Surroundings,
): string | null {
  if (isFinal(record.state)) return null;
  if (record.state === 'paused') return 'somebody to resume it';
  if (record.state === 'blocked') return parentsOf(record, stateOf);
  if (record.state === 'running') return `attempt ${record.attempt} to end`;
  if (record.state === 'cancelling') return 'its worker to prove that the attempt is over';
  if (record.state === 'scheduled') return timeOf(record, now);
  const named = record.spec.affinity.node;
  if (named !== null) {
    const waits = waitingForNode(named, record.spec.affinity.waitMs, nodes);
    if (waits !== undefined) return waits;
  }
  if (record.spec.group !== null) return groupOf(record.spec.group.nodes, nodes);
  if (nodes.length === 0) return 'a node that runs jobs';
  if (nodes.some(({ fits }) => fits)) return 'its turn: a node fits and has a free slot';
  const eligible = nodes.filter(({ isEligible }) => isEligible).map(({ peerId }) => peerId);
  if (eligible.length === 0) return `a node that fits: none of ${nodes.length} does`;
  const isDrained = (id: string) =>
    views.some(({ peerId, isDraining }) => peerId === id && isDraining === true);
  if (eligible.every(isDrained))
    return `a node that fits to take jobs again: ${eligible.length === 1 ? 'the only one is' : `all ${eligible.length} are`} draining`;
  if (eligible.every((id) => isHeld(id, record.spec.type, views)))
    return 'a worker to answer for an attempt that was given up and holds its slot';
  return 'a node that fits to be heard and to have a free slot';
}

/** Whether all that could run the type there has no slot but those that it owes an answer for. */
function isHeld(peerId: string, type: string, views: readonly NodeView[]): boolean {
  const offering = views.filter((view) => view.peerId === peerId && view.types.includes(type));
  return (
    offering.length > 0 &&
    offering.every(({ totalSlots, unanswered }) => totalSlots <= 0 && unanswered !== undefined)
  );
}

function groupOf(count: number, nodes: readonly ExplainedNode[]): string {
  const fitting = nodes.filter(({ fits }) => fits).length;
  const eligible = nodes.filter(({ isEligible }) => isEligible).length;
  const now = `${fitting} of ${nodes.length} fit now`;
  if (fitting >= count) return `its turn: it needs ${count} nodes at once, ${now}`;
  if (eligible < count)
    return `${count} nodes at once: ${now}, ${eligible} could later; add nodes, or ask for fewer`;
  return `${count} nodes at once: ${now}, ${eligible} could later; a free slot of each is kept for it in its turn`;
}

/** @returns undefined where it is not the named node that is waited for. */
function waitingForNode(
  { peerId, mode }: NonNullable<Affinity['node']>,
  waitMs: number,
  nodes: readonly ExplainedNode[],
): string | undefined {
  const node = nodes.find((one) => one.peerId === peerId);
  if (node?.fits === true) return undefined;
  const why = node === undefined ? 'not heard of' : node.reasons.join('; ');
  if (mode === 'require') return `its node ${peerId}: ${why}`;
  const isOther = nodes.some(({ fits }) => fits) && node?.isEligible !== false;
  return isOther ? `its preferred node ${peerId}, for ${formatDuration(waitMs)} at most: ${why}` : undefined;
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

function timeOf(record: JobRecord, now: Surroundings['now']): string {
  const { dueGroupMs, spec } = record;
  if (dueGroupMs === null && spec.runAtMs !== null)
    return `its time, ${new Date(spec.runAtMs).toISOString()}`;
  const leftMs = Math.max(0, (dueGroupMs ?? now.groupMs) - now.groupMs);
  const until = `until ${new Date(Math.round(now.wallMs + leftMs)).toISOString()} (${formatDuration(leftMs)})`;
  const past = record.history.at(-1);
  if (past === undefined || record.error === null)
    return `its delay of ${exactDuration(spec.delayMs)} to pass, ${until}`;
  const told = past.outcome === 'lost' ? lossOf(record) : failureOf(record);
  return `the pause ${until} after ${told}: ${record.error.message}`;
}

function lossOf({ lossCount, spec }: JobRecord): string {
  return `loss ${lossCount}, of ${maxLossesOf(spec.retry)} that are forgiven`;
}

/** What is not counted is the fault of its node (`hooks/sender-faults.ts`). */
function failureOf({ attempt, failureCount, spec }: JobRecord): string {
  return failureCount === 0
    ? `attempt ${attempt}, which failed`
    : `failure ${failureCount} of ${spec.retry.maxAttempts}`;
}
