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
export { blobMark, type NodeRole, type NodeView, type Placement, type Strategy } from './types.ts';
