import { unreachable } from '../../../src/base/index.ts';
import type { MembershipChange, NemesisFault, NemesisStep } from './faults.ts';
import type { LinkFaults } from './link-faults.ts';
import type { Scheduler } from './scheduler.ts';
import type { CrashPoint } from './sim-process.ts';

/** What a plan can do to the machines of a world; the world knows their processes, disks and clocks. */
export interface NemesisTargets {
  readonly scheduler: Scheduler;
  readonly links: LinkFaults;
  /** Names of all nodes. */
  readonly nodes: readonly string[];
  /** Does nothing to a node that is down. */
  crash(node: string): void;
  /** Starts a node that is down; does nothing to one that runs. */
  restart(node: string): void;
  /** The node dies when it gets to `point`, and starts again `downMs` later. */
  crashAt(
    node: string,
    doom: { readonly point: CrashPoint; readonly calls: number; readonly downMs: number },
  ): void;
  sleep(node: string, forMs: number): void;
  pause(node: string, forMs: number): void;
  failNextSync(node: string): void;
  spareNextSync(node: string): void;
  damageDisk(node: string, isMisplaced: boolean): void;
  /** Begins the change; it may take longer than the fault. */
  changeMembers(change: MembershipChange, draw: number): void;
  fillDisk(node: string): void;
  freeDisk(node: string): void;
  jumpWall(node: string, byMs: number): void;
}

/** Puts the steps of a plan on the world's queue, each with its end. */
export function scheduleNemesis(steps: readonly NemesisStep[], targets: NemesisTargets): void {
  for (const step of steps) {
    targets.scheduler.after(
      step.atMs - targets.scheduler.nowMs,
      () => begin(step, targets),
      `nemesis ${describe(step)}`,
    );
  }
}

/** e.g. `crash {"node":"n1"} for 300 ms`. */
export function describe({ fault, forMs }: NemesisStep): string {
  const { type, ...details } = fault;
  return `${type} ${JSON.stringify(details)} for ${Math.round(forMs)} ms`;
}

function begin({ fault, forMs }: NemesisStep, targets: NemesisTargets): void {
  const end = inflict(fault, forMs, targets);
  if (end !== undefined) targets.scheduler.after(forMs, end, `nemesis ${fault.type} ends`);
}

/** @returns what ends it; undefined when it is over by itself. */
function inflict(fault: NemesisFault, forMs: number, targets: NemesisTargets): (() => void) | undefined {
  switch (fault.type) {
    case 'partition':
      return cutOff(fault, targets.links);
    case 'flapping':
      return flap(fault, targets);
    case 'clog': {
      const untilMs = targets.scheduler.nowMs + forMs;
      const clog = targets.links.clog(fault.from, fault.to, () => untilMs - targets.scheduler.nowMs);
      return () => clog[Symbol.dispose]();
    }
    case 'crash':
      targets.crash(fault.node);
      return () => targets.restart(fault.node);
    case 'crashAll':
      for (const node of targets.nodes) targets.crash(node);
      return () => {
        for (const node of targets.nodes) targets.restart(node);
      };
    case 'crashAt':
      targets.crashAt(fault.node, { point: fault.point, calls: fault.calls, downMs: forMs });
      return undefined;
    case 'pause':
      targets.pause(fault.node, forMs);
      return undefined;
    case 'syncError':
      targets.failNextSync(fault.node);
      return () => targets.spareNextSync(fault.node);
    case 'damage':
      targets.damageDisk(fault.node, fault.isMisplaced);
      return undefined;
    case 'members':
      targets.changeMembers(fault.change, fault.draw);
      return undefined;
    case 'sleep': {
      // A machine that sleeps neither sends nor hears.
      const others = targets.nodes.filter((other) => other !== fault.node);
      targets.sleep(fault.node, forMs);
      return cutOff({ from: [fault.node], to: others, isOneWay: false }, targets.links);
    }
    case 'fullDisk':
      targets.fillDisk(fault.node);
      return () => targets.freeDisk(fault.node);
    case 'jumpWall':
      targets.jumpWall(fault.node, fault.byMs);
      return undefined;
    default:
      return unreachable(fault);
  }
}

/** @returns what ends it. */
function flap(fault: Cut & { readonly periodMs: number }, targets: NemesisTargets): () => void {
  let open: (() => void) | undefined;
  let isOver = false;
  const turn = () => {
    if (isOver) return;
    if (open === undefined) open = cutOff(fault, targets.links);
    else {
      open();
      open = undefined;
    }
    targets.scheduler.after(fault.periodMs, turn, 'nemesis flaps');
  };
  turn();
  return () => {
    isOver = true;
    open?.();
  };
}

interface Cut {
  readonly from: readonly string[];
  readonly to: readonly string[];
  readonly isOneWay: boolean;
}

function cutOff({ from, to, isOneWay }: Cut, links: LinkFaults): () => void {
  const forth = links.block(from, to);
  const back = isOneWay ? undefined : links.block(to, from);
  return () => {
    forth[Symbol.dispose]();
    back?.[Symbol.dispose]();
  };
}
