export { parseDemand } from './demand.ts';
export { canEverFit, type Explanation, explain, type RankedNode, rank } from './placement.ts';
export type { NodeRole, NodeView, Placement, Strategy } from './types.ts';
