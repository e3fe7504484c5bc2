import type { FaultType } from '../ground/index.ts';

/** Plans that are drawn otherwise than those of most runs: what a seed decides stands, but for what is named here. */
export interface Weather {
  /** Faults that are drawn; one that is named more often is drawn more often. @default as the seed says */
  readonly types?: readonly FaultType[];
  /** How many nodes there are. @default as the seed says */
  readonly nodeCount?: number;
  /** How many of them form the mesh. @default as the seed says */
  readonly memberCount?: number;
  /** Between the beginnings of faults. Unit: ms. @default as the seed says */
  readonly meanPauseMs?: number;
  /** Unit: ms. @default as the seed says */
  readonly longestFaultMs?: number;
  /** How long things go wrong. Unit: ms. @default as in any run */
  readonly faultsMs?: number;
  /** Entries after which a log is cut. @default as the seed says */
  readonly keptEntries?: number;
}

/** Whatever may happen to machines and links, but nothing to who belongs to the mesh. */
const EVERYTHING_BUT_MEMBERS: readonly FaultType[] = [
  'partition',
  'partial',
  'flapping',
  'clog',
  'crash',
  'crashAll',
  'crashAt',
  'sleep',
  'pause',
  'fullDisk',
  'syncError',
  'jumpWall',
];

/** By the name that the command line knows. */
export const WEATHERS: Readonly<Record<string, Weather>> = {
  /** Nothing but deaths, cuts and changes of members, most of them leaves, one upon the other. */
  leavers: {
    types: [
      'crash',
      'crashAt',
      'partition',
      'partial',
      'leaving',
      'leaving',
      'leaving',
      'leaving',
      'leaving',
    ],
    nodeCount: 8,
    memberCount: 6,
    meanPauseMs: 1_500,
    longestFaultMs: 4_000,
  },
  /** Several faults of any kind at one time. */
  storm: {
    types: [...EVERYTHING_BUT_MEMBERS, 'leaving', 'leaving'],
    nodeCount: 6,
    meanPauseMs: 700,
    longestFaultMs: 8_000,
  },
  /** As many nodes as a small office has, with members that come and go. */
  crowd: {
    types: [...EVERYTHING_BUT_MEMBERS, 'leaving', 'leaving', 'leaving'],
    nodeCount: 11,
    memberCount: 8,
    meanPauseMs: 1_500,
    longestFaultMs: 6_000,
  },
  /** Two minutes of what otherwise takes half of one. */
  long: { meanPauseMs: 3_000, longestFaultMs: 10_000, faultsMs: 120_000 },
  /** Links that carry one way, or to some and not to others, again and again. */
  asymmetric: {
    types: ['partial', 'partial', 'partition', 'flapping', 'clog', 'pause', 'crash'],
    meanPauseMs: 1_000,
    longestFaultMs: 6_000,
  },
  /** Wall clocks that jump while machines sleep, stop and start again. */
  clocks: {
    types: ['jumpWall', 'jumpWall', 'sleep', 'pause', 'crash', 'partition'],
    meanPauseMs: 1_000,
    longestFaultMs: 5_000,
  },
  /** Disks that fill up, fail and lose, under logs that are cut after every few entries, so that much travels in snapshots. */
  disks: {
    types: ['fullDisk', 'fullDisk', 'syncError', 'crash', 'crashAt', 'crashAt', 'partition', 'members'],
    meanPauseMs: 1_200,
    longestFaultMs: 5_000,
    keptEntries: 5,
  },
};
