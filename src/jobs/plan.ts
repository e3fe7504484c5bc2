import { best, candidatesFor, canEverFit, type NodeView, type Placement } from '../affinity/index.ts';
import type { Coordinate, PeerId } from '../base/index.ts';
import type { Key } from './machine-port.ts';
import { type ReadyJob, ReadyQueue } from './ready-queue.ts';
import { type Affinity, type JobSpec, SPEC_BASE } from './spec.ts';

/**
 * Jobs with equal demands wait in one line: when its first cannot be placed now, neither can the others. What only ranks nodes (the
 * rendezvous key) is no demand and stays with the job, so that a line for each key does not make a plan as long as the queue.
 */
export interface Line {
  readonly placement: Placement;
  readonly queue: ReadyQueue;
  /** The queue and the namespace of its jobs, by which they are bounded. */
  readonly owner: LineOwner;
  /** Jobs of a concurrency key that runs as often as it may, by that key: set aside so that they hold up no other. */
  readonly parked: Map<string, ReadyQueue>;
  /** When a free node was first passed over for a preferred one; null while nobody is waited for. */
  preferredSinceMs: number | null;
  /** For `round-robin`: the node that was chosen last. */
  lastTurn?: PeerId | undefined;
}

export type LineOwner = Pick<JobSpec, 'queue' | 'namespace'>;

/** Says which jobs may start now, and is told which do. */
export interface StartGate {
  /** `line`: nothing of this line may; `job`: only others of this line. */
  held(line: Line, job: ReadyJob): 'line' | 'job' | undefined;
  start(line: Line, job: ReadyJob): void;
}

export interface PlannedAssignment {
  readonly job: ReadyJob;
  readonly line: Line;
  readonly peerId: PeerId;
  /** The attached worker of that node; null for what the node runs itself. */
  readonly pool: string | null;
  /** Its preferred node was waited for in vain. */
  readonly isElsewhere: boolean;
  /** Where a group runs beside, from rank 1 on; absent for a job that runs on one node. */
  readonly others?: readonly PlannedPlace[];
}

/** A part of a node. */
export interface PlannedPlace {
  readonly peerId: PeerId;
  readonly pool: string | null;
}

export interface PlanOptions {
  /** Most assignments of one plan. */
  readonly limit: number;
  readonly nowMs: number;
  /** Shifts ties between equal nodes. */
  readonly seed: number;
  /** Everything may start where there is none. */
  readonly gate?: StartGate | undefined;
  /** Where a node is that jobs want to be near, also one that runs none. */
  readonly coordinateOf?: ((peerId: PeerId) => Coordinate | undefined) | undefined;
}

/** Where a job goes. */
interface Place {
  readonly view: OpenView;
  readonly isElsewhere: boolean;
  /** Of a group: where ranks from 1 on go. */
  readonly others?: readonly OpenView[];
  /** It is a group that lacks nodes: what is free is kept for it. */
  readonly isPart?: boolean;
}

/** A view on which the slots that this plan gives away are counted down. */
type OpenView = { freeSlots: number } & NodeView;

/**
 * Gives the jobs at the front of their lines to the best nodes with a free slot, in the order of the lines' first jobs. What it
 * takes is taken from the queues; the caller puts back what is refused.
 *
 * - P11 Every job goes where it would go if all were ranked one by one, in order, over the nodes as they are then. Jobs that no node can
 *   take hold up no other.
 * - P13 A preferred node is waited for `waitMs` at most, a required one without end.
 * - P14 Jobs of one key go where the key ranks first, so that only those of a node that left move.
 * - G4 A group is planned whole or not at all. While it lacks nodes that are full, one slot of each that is free is kept from all that is
 *   less urgent, so that it comes together; two groups do so in their order, so that neither waits for the other. One for which there
 *   are not enough nodes keeps nothing from anybody.
 * @param nodes as of now, one view for each pool of a node; `freeSlots` is counted down here, on copies.
 */
export function planAssignments(
  lines: Iterable<Line>,
  nodes: readonly NodeView[],
  { limit, nowMs, seed, gate, coordinateOf }: PlanOptions,
): PlannedAssignment[] {
  const views = nodes.map((node) => ({ ...node }));
  let freeSlots = views.reduce(
    (sum, view) => sum + (view.isSuspect || view.isDraining ? 0 : view.freeSlots),
    0,
  );
  const planned: PlannedAssignment[] = [];
  if (freeSlots === 0) return planned;
  const choose = new Chooser(views, { nowMs, coordinateOf });
  const open = [...lines].filter(({ queue }) => queue.size > 0).sort(byFirstJobLast);
  for (let line = open.pop(); line !== undefined; line = open.pop()) {
    const held = gate?.held(line, line.queue.peek() as ReadyJob);
    if (held === 'job') parkFirst(line);
    if (held === 'job' && line.queue.size > 0) putBack(open, line);
    if (held !== undefined) continue;
    const place = choose.place(line, seed + planned.length);
    if (place === undefined) continue;
    freeSlots -= take(place);
    if (place.isPart === true) {
      if (freeSlots === 0) break;
      continue; // G4
    }
    const job = line.queue.take() as ReadyJob;
    gate?.start(line, job);
    const { view, isElsewhere, others } = place;
    const alone = { job, line, peerId: view.peerId, pool: view.pool ?? null, isElsewhere };
    planned.push(others === undefined ? alone : { ...alone, others: others.map(placeOf) });
    if (line.placement.strategy === 'round-robin') line.lastTurn = view.peerId;
    if (freeSlots === 0 || planned.length === limit) break;
    if (line.queue.size > 0) putBack(open, line);
  }
  return planned;
}

/** @returns how many slots are taken. */
function take({ view, others }: Place): number {
  view.freeSlots -= 1;
  if (others === undefined) return 1;
  for (const other of others) other.freeSlots -= 1;
  return 1 + others.length;
}

function placeOf({ peerId, pool = null }: OpenView): PlannedPlace {
  return { peerId, pool };
}

/** Placements of jobs that ask for nothing but their type, made once a type. */
const plainPlacements = new Map<string, Placement>();
const PLAIN_LIMIT = 1_000;

/** What a job asks of nodes. */
export function placementOf({
  type,
  affinity,
  group,
}: Pick<JobSpec, 'type' | 'affinity' | 'group'>): Placement {
  if (group !== null) return { ...makePlacement(type, affinity), nodes: group.nodes };
  if (affinity !== SPEC_BASE.affinity) return makePlacement(type, affinity);
  const known = plainPlacements.get(type);
  if (known !== undefined) return known;
  const placement = makePlacement(type, affinity);
  if (plainPlacements.size < PLAIN_LIMIT) plainPlacements.set(type, placement);
  return placement;
}

function makePlacement(type: string, affinity: Affinity): Placement {
  const { node, require, prefer, avoid, key, near, data, secrets, strategy, waitMs } = affinity;
  return {
    type,
    ...(node !== null && { node: { peerId: node.peerId as PeerId, mode: node.mode } }),
    require,
    prefer,
    avoid,
    ...(key !== null && { key }),
    ...(near !== undefined && { near: near as PeerId }),
    ...(data !== undefined && { data }),
    ...(secrets !== undefined && { secrets }),
    strategy,
    waitMs,
  };
}

/** The first job stands aside until one of its key ends. */
function parkFirst({ queue, parked }: Line): void {
  const job = queue.take() as ReadyJob;
  const key = job.concurrencyKey ?? '';
  const others = parked.get(key) ?? new ReadyQueue();
  parked.set(key, others);
  others.add(job);
}

/** The line whose first job comes first stands at the end, where it is taken from. */
function byFirstJobLast(left: Line, right: Line): number {
  return firstKey(left) < firstKey(right) ? 1 : -1;
}

function putBack(open: Line[], line: Line): void {
  let low = 0;
  let high = open.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (firstKey(open[middle] as Line) > firstKey(line)) low = middle + 1;
    else high = middle;
  }
  open.splice(low, 0, line);
}

function firstKey({ queue }: Line): Key {
  return queue.peek()?.key ?? '';
}

/** Chooses places within one plan: what can never fit a line is looked at once a line, not once a job. */
class Chooser {
  readonly #views: OpenView[];
  readonly #options: Pick<PlanOptions, 'nowMs' | 'coordinateOf'>;
  readonly #candidates = new Map<Line, readonly OpenView[]>();

  constructor(views: OpenView[], options: Pick<PlanOptions, 'nowMs' | 'coordinateOf'>) {
    this.#views = views;
    this.#options = options;
  }

  /** A preferred node that could take the job later, or is not here (it may be starting again), is waited for, but not longer than `waitMs`. */
  place(line: Line, seed: number): Place | undefined {
    const { nodes } = line.placement;
    if (nodes !== undefined) return this.#group(line, nodes, seed);
    const placement = placementFor(line);
    const view = this.#best(line, placement, seed, this.#candidatesOf(line));
    const preferred = placement.node?.mode === 'prefer' ? placement.node.peerId : undefined;
    if (view === undefined || preferred === undefined || view.peerId === preferred) {
      line.preferredSinceMs = null;
      return view && { view, isElsewhere: false };
    }
    const ofPreferred = this.#views.filter(({ peerId }) => peerId === preferred);
    if (ofPreferred.length > 0 && !canEverFit(placement, ofPreferred)) return { view, isElsewhere: true };
    line.preferredSinceMs ??= this.#options.nowMs;
    const waitedMs = this.#options.nowMs - line.preferredSinceMs;
    return waitedMs >= (placement.waitMs ?? 0) ? { view, isElsewhere: true } : undefined;
  }

  /** Each on another node. A preferred node is ranked first, and not waited for. @returns undefined where nothing is to be kept. */
  #group(line: Line, count: number, seed: number): Place | undefined {
    const placement = placementFor(line);
    let left = this.#candidatesOf(line);
    if (nodeCount(left.filter(isHeard)) < count) return undefined;
    const views: OpenView[] = [];
    while (views.length < count) {
      const view = this.#best(line, placement, seed, left);
      if (view === undefined) break;
      views.push(view);
      left = left.filter(({ peerId }) => peerId !== view.peerId);
    }
    const [first, ...others] = views;
    return first && { view: first, isElsewhere: false, others, isPart: views.length < count };
  }

  #best(
    line: Line,
    placement: Placement,
    seed: number,
    candidates: readonly OpenView[],
  ): OpenView | undefined {
    const nearAt = placement.near === undefined ? undefined : this.#options.coordinateOf?.(placement.near);
    const options = { seed, nearAt, lastTurn: line.lastTurn };
    return best(placement, candidates, options) as OpenView | undefined;
  }

  #candidatesOf(line: Line): readonly OpenView[] {
    const known = this.#candidates.get(line);
    if (known !== undefined) return known;
    const candidates = candidatesFor(line.placement, this.#views) as OpenView[];
    this.#candidates.set(line, candidates);
    return candidates;
  }
}

/** What the first job of a line asks of nodes. */
function placementFor({ placement, queue }: Line): Placement {
  const key = queue.peek()?.affinityKey;
  return key === undefined ? placement : { ...placement, key };
}

/** It takes jobs now, or will once a slot is free. */
function isHeard({ isSuspect, isDraining }: NodeView): boolean {
  return !isSuspect && isDraining !== true;
}

function nodeCount(views: readonly NodeView[]): number {
  return new Set(views.map(({ peerId }) => peerId)).size;
}
