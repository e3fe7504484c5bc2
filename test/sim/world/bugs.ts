import type { WorldBug } from './world.ts';

/** Known-bad agents, each wrong in one way, planted from outside: the simulated world must catch every one. */
export const BUGS: Readonly<Record<string, WorldBug>> = {};
