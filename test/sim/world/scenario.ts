import { forbidAmbient } from '../ground/index.ts';
import { StoryWorld } from './story-world.ts';
import type { WorldOptions } from './world.ts';

const SEED_DEFAULT = 1;
/** Real time that mocha gives a story; virtual time is the story's own. Unit: ms. */
const TEST_LIMIT_MS = 600_000;

export interface ScenarioOptions extends WorldOptions {
  /** @default 1 */
  readonly seed?: number;
  /** For a story of much virtual time. Unit: ms. @default 60_000 */
  readonly realLimitMs?: number;
}

/** @returns a mesh whose members are all there, in good weather. */
export async function createWorld(seed = SEED_DEFAULT, options: WorldOptions = {}): Promise<StoryWorld> {
  const world = new StoryWorld(seed, options);
  await world.formMesh();
  return world;
}

/** A story of one mesh as a mocha test: real agents, virtual time, and whatever the story asserts, the law besides. */
export function scenario(
  name: string,
  story: (world: StoryWorld) => Promise<void>,
  { seed = SEED_DEFAULT, realLimitMs = TEST_LIMIT_MS, ...options }: ScenarioOptions = {},
): void {
  it(name, async function () {
    this.timeout(realLimitMs);
    using _ambient = forbidAmbient();
    const world = await createWorld(seed, options);
    await story(world);
    world.laws.checkSafety();
  });
}
