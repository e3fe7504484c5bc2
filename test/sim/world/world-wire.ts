import type { PeerId } from '../../../src/base/index.ts';
import { MemoryNetwork } from '../../../src/mesh/index.ts';

type Route = Parameters<MemoryNetwork['carry']>[0];

/** The wire of a world, at whose ends may be machines that stand still. */
export class WorldWire extends MemoryNetwork {
  readonly #enter: (to: PeerId, arrive: () => void) => void;

  /** @param enter lets what arrived in, as soon as the machine listens. */
  constructor(
    enter: (to: PeerId, arrive: () => void) => void,
    components: ConstructorParameters<typeof MemoryNetwork>[0],
  ) {
    super(components);
    this.#enter = enter;
  }

  override carry(route: Route, arrive: () => void): number {
    return super.carry(route, () => this.#enter(route.to, arrive));
  }

  override carryOnce(route: Route, arrive: () => void): boolean {
    return super.carryOnce(route, () => this.#enter(route.to, arrive));
  }
}
