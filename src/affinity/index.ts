export { demandFault, parseDemand } from './demand.ts';
export {
  best,
  candidatesFor,
  canEverFit,
  type Explanation,
  explain,
  type RankedNode,
  type RankOptions,
  rank,
} from './placement.ts';
export type { ScorePart } from './scores.ts';
export type { NodeRole, NodeView, Placement, Strategy } from './types.ts';
