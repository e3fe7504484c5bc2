import { findRecord } from '../../../src/jobs/record-store.ts';
import type { MachineModule } from '../../../src/lease/machine/index.ts';
import { membersOf } from '../../../src/lease/raft/index.ts';
import { LyingDisk } from './lying-disk.ts';
import type { WorldBug } from './world.ts';

/** Takes whatever attempt reports for the one that holds the job. */
function withoutFence(module: MachineModule): MachineModule {
  const { settle } = module.commands;
  if (settle === undefined) throw new Error('the jobs module settles nothing');
  return {
    ...module,
    commands: {
      ...module.commands,
      settle: {
        ...settle,
        apply: (body, context) => {
          const items = (body as { items: readonly { jobId: string }[] }).items.map((item) => {
            const held = findRecord(context, item.jobId)?.running;
            return held ? { ...item, attempt: held.attempt, fencingToken: held.fencingToken } : item;
          });
          return settle.apply({ items }, context);
        },
      },
    },
  };
}

/** Known-bad agents, each wrong in one way, planted from outside: the simulated world must catch every one. */
export const BUGS: Readonly<Record<string, WorldBug>> = {
  /** The leader commits what it alone has on disk. */
  'ack-before-majority': {
    commitRule: ({ configuration, term, commitIndex, matchOf, termAt }) => {
      const own = Math.max(...membersOf(configuration).map(matchOf));
      return own > commitIndex && termAt(own) === term ? own : commitIndex;
    },
    weather: { types: ['partition'], meanPauseMs: 2_500, longestFaultMs: 8_000 },
  },
  /** Disks acknowledge what they have not stored. */
  'skip-sync': {
    makeDisk: (random, options) => new LyingDisk(random, options),
    weather: { types: ['crash', 'crashAll'], meanPauseMs: 4_000, longestFaultMs: 1_500 },
  },
  /** A worker whose job was given away completes it all the same. */
  'ignore-fence': {
    jobs: withoutFence,
    weather: { types: ['partition'], meanPauseMs: 4_000, longestFaultMs: 10_000 },
  },
};
