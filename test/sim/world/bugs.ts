import type { LiveIndex } from '../../../src/jobs/live-index.ts';
import { findRecord, putRecord } from '../../../src/jobs/record-store.ts';
import type { ApplyContext, MachineModule } from '../../../src/lease/machine/index.ts';
import { membersOf } from '../../../src/lease/raft/index.ts';
import { ForgetfulDisk } from './forgetful-disk.ts';
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

/** Does more after a command than the honest module. */
function withAfter(
  module: MachineModule,
  kind: string,
  after: (body: unknown, context: ApplyContext) => () => void,
): MachineModule {
  const command = module.commands[kind];
  if (command === undefined) throw new Error(`the jobs module has no command ${kind}`);
  const apply = (body: unknown, context: ApplyContext) => {
    const finish = after(body, context);
    const result = command.apply(body, context);
    finish();
    return result;
  };
  return { ...module, commands: { ...module.commands, [kind]: { ...command, apply } } };
}

interface Named {
  readonly jobId: string;
}

/** A failure that is tried again counts twice. */
function countingTwice(module: MachineModule): MachineModule {
  return withAfter(module, 'settle', (body, context) => () => {
    for (const { jobId } of (body as { readonly items: readonly Named[] }).items) {
      const record = findRecord(context, jobId);
      if (record?.state === 'scheduled')
        putRecord(context, { ...record, failureCount: record.failureCount + 1 }, record);
    }
  });
}

/** A cancelled job stays in the indexes of those that wait. */
function withStaleIndex(module: MachineModule): MachineModule {
  return withAfter(module, 'cancel', (body, context) => {
    const before = findRecord(context, (body as { readonly id: string }).id);
    return () => {
      if (before?.state === 'queued' || before?.state === 'scheduled')
        context.derived<LiveIndex>().move(undefined, before);
    };
  });
}

/** Whoever waits for a job runs when that fails. */
function releasingOnFailure(module: MachineModule): MachineModule {
  return withAfter(module, 'settle', (body, context) => {
    const index = context.derived<LiveIndex>();
    const { items } = body as { readonly items: readonly Named[] };
    const dependents = items.flatMap(({ jobId }) => index.dependentsOf(jobId, '', 100));
    return () => {
      for (const id of dependents) {
        const record = findRecord(context, id);
        if (record?.state !== 'dead' && record?.state !== 'skipped') continue;
        putRecord(context, { ...record, state: 'queued', finishedAt: null, expiresGroupMs: null }, record);
      }
    };
  });
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
  'count-retry-twice': { jobs: countingTwice },
  'stale-index-on-cancel': { jobs: withStaleIndex },
  'release-on-failure': { jobs: releasingOnFailure },
  /** A snapshot does not carry which requests were answered. */
  'snapshot-without-memory': {
    makeDisk: (random, options) => new ForgetfulDisk(random, options),
    keptEntries: 5,
    weather: { types: ['crash', 'partition'], meanPauseMs: 2_500, longestFaultMs: 6_000 },
  },
  /** The clock of the first node runs at a quarter of its speed: it goes on with attempts whose hold is over for everybody else. */
  'clock-beyond-its-bounds': {
    clocks: { n1: { drift: -0.75 } },
    weather: { types: ['partition'], meanPauseMs: 2_000, longestFaultMs: 6_000 },
  },
};
