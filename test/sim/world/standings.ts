import type { SimNode } from './sim-node.ts';
import type { World } from './world.ts';

/** Unit: ms. */
const LOOK_EVERY_MS = 500;
/** Registries refuse stamps that are a minute ahead of their own wall clock, and who comes from such a clock stays ahead for a while. Unit: ms. */
const CLOCKS_APART_LIMIT_MS = 50_000;
/** Where more is lost a question and its answer hardly get through, and what gossip lost is caught up on late. */
const LOSS_LIMIT = 0.05;

/** Looks now and then whom the nodes of a world show as alive, and who has what it takes to be shown so. */
export class Standings {
  readonly #world: World;
  #areClocksSane = true;

  constructor(world: World) {
    this.#world = world;
  }

  start(): void {
    this.#world.scheduler.after(
      LOOK_EVERY_MS,
      () => {
        this.#look();
        this.start();
      },
      'standings',
    );
  }

  #look(): void {
    const { members, nodes, nowMs, laws, links } = this.#world;
    const offsets = nodes.map(({ machine }) => machine.wallOffsetMs);
    if (Math.max(...offsets) - Math.min(...offsets) > CLOCKS_APART_LIMIT_MS) this.#areClocksSane = false;
    const isFair = this.#areClocksSane && links.loss <= LOSS_LIMIT;
    const well = new Set(members.filter((node) => isFair && this.#standsWell(node)));
    for (const by of members.filter(({ isReady }) => isReady)) {
      const { registry } = by.daemon.node;
      for (const of of members) {
        if (of === by || !of.isReady) continue;
        const isAlive = registry.node(of.peerId)?.isAlive === true;
        const isStandingWell = well.has(by) && well.has(of);
        laws.observe({ type: 'shown', atMs: nowMs, by: by.name, of: of.name, isAlive, isStandingWell });
      }
    }
  }

  /** It runs, is awake, and with those that it exchanges frames with it is a majority. */
  #standsWell(node: SimNode): boolean {
    const { members } = this.#world;
    if (!isAwake(node)) return false;
    const linked = members.filter(
      (other) => other !== node && isAwake(other) && this.#areLinked(node, other),
    );
    return 2 * (linked.length + 1) > members.length;
  }

  #areLinked(left: SimNode, right: SimNode): boolean {
    const { links } = this.#world;
    return (
      links.isOpen(left.name, right.name) &&
      links.isOpen(right.name, left.name) &&
      left.daemon.node.mesh.transport.isLinked(right.peerId) &&
      right.daemon.node.mesh.transport.isLinked(left.peerId)
    );
  }
}

function isAwake({ isReady, life }: SimNode): boolean {
  return isReady && life !== undefined && !life.process.isPaused && !life.clock.isAsleep;
}
