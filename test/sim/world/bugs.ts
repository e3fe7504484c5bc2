import { membersOf } from '../../../src/lease/raft/index.ts';
import { CALM_LINKS } from '../ground/index.ts';
import { ForgetfulDisk, JOB_KEYS, OUTCOMES } from './forgetful-disk.ts';
import {
  believingUnbegun,
  countingTooFew,
  countingTwice,
  forgettingHooks,
  forgettingRates,
  freeingKeys,
  releasingOnFailure,
  tooSoon,
  withoutFence,
  withStaleIndex,
} from './job-bugs.ts';
import type { JobFeature } from './job-draws.ts';
import {
  asIfAwake,
  renewingWhatHasEnded,
  skippingFirst,
  stillRenewing,
  twiceWhenDerived,
} from './lease-bugs.ts';
import { LyingDisk } from './lying-disk.ts';
import type { WorldBug } from './world.ts';

/** Runs in which jobs have what queues limit. */
const LIMITED: ReadonlySet<JobFeature> = new Set(['queues', 'bulks']);
/** Jobs that have nothing but work. */
const NONE: ReadonlySet<JobFeature> = new Set();

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
  /** An agent that was started again does not know what goes on under its supervisor, so the group takes it for given up. */
  'forget-the-held': {
    forgetsHeld: true,
    longestWorkMs: 30_000,
    weather: { types: ['crash'], meanPauseMs: 3_000, longestFaultMs: 1_500 },
  },
  'begin-twice': {
    jobs: believingUnbegun,
    jobFeatures: new Set(['losses']),
    weather: { types: ['crash', 'partition'], meanPauseMs: 4_000, longestFaultMs: 8_000 },
  },
  'count-retry-twice': { jobs: countingTwice },
  'stale-index-on-cancel': { jobs: withStaleIndex },
  'release-on-failure': { jobs: releasingOnFailure },
  'release-too-soon': { jobs: tooSoon('release'), jobFeatures: new Set(['delays', 'deadlines', 'timeouts']) },
  'purge-too-soon': { jobs: tooSoon('purge'), jobFeatures: new Set(['retention']) },
  'forget-rates': { jobs: forgettingRates, jobFeatures: LIMITED },
  'free-keys-at-the-end': { jobs: freeingKeys, jobFeatures: new Set(['keys']) },
  'forget-who-asked': { jobs: forgettingHooks, hasHooks: true },
  'limit-one-too-many': { jobs: countingTooFew, jobFeatures: LIMITED },
  /** A snapshot does not carry which requests were answered. */
  'snapshot-without-memory': {
    makeDisk: (random, options) => new ForgetfulDisk(random, options, OUTCOMES),
    keptEntries: 5,
    weather: { types: ['crash', 'partition'], meanPauseMs: 2_500, longestFaultMs: 6_000 },
  },
  /** A snapshot does not carry which keys named which jobs. */
  'snapshot-without-keys': {
    makeDisk: (random, options) => new ForgetfulDisk(random, options, JOB_KEYS),
    keptEntries: 5,
    jobFeatures: new Set(['keys']),
    weather: { types: ['crash', 'partition'], meanPauseMs: 2_500, longestFaultMs: 6_000 },
  },
  /** Whoever renews a claim that has ended is told that it goes on. */
  'renew-after-expiry': {
    leases: renewingWhatHasEnded,
    weather: { types: ['partition', 'pause'], meanPauseMs: 2_500, longestFaultMs: 8_000 },
  },
  /** The clock of the first node runs at a quarter of its speed: it goes on with attempts whose hold is over for everybody else. */
  'clock-beyond-its-bounds': {
    clocks: { n1: { drift: -0.75 } },
    longestWorkMs: 8_000,
    weather: { types: ['partition'], meanPauseMs: 4_000, longestFaultMs: 16_000 },
  },
  /** A leader that was deposed prolongs sessions and holds. */
  'renewals-of-a-deposed-leader': {
    tamper: stillRenewing,
    longestWorkMs: 30_000,
    jobFeatures: NONE,
    weather: { types: ['partition'], meanPauseMs: 4_000, longestFaultMs: 16_000 },
  },
  'go-on-after-sleep': {
    tamper: asIfAwake,
    longestWorkMs: 8_000,
    jobFeatures: NONE,
    weather: { types: ['sleep'], meanPauseMs: 2_000, longestFaultMs: 4_000 },
  },
  /** The first change of a key after a snapshot was taken in is applied twice. */
  'apply-twice-after-snapshot': {
    kv: twiceWhenDerived,
    keptEntries: 5,
    weather: { types: ['members'], meanPauseMs: 2_500, longestFaultMs: 1_500 },
  },
  /** Who is missed by enough others stays missed, whatever signs of life it gives. */
  'never-refuted': {
    refutation: () => false,
    nodeCount: 8,
    beatsRarely: true,
    jobFeatures: NONE,
    links: CALM_LINKS,
    weather: { types: ['partial'], meanPauseMs: 10_000, longestFaultMs: 80_000 },
  },
  'watch-skips-a-revision': { tamper: skippingFirst },
};
