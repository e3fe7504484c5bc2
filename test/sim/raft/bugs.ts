/**
 * Known-bad replicas, each wrong in one way, all of it done from outside the core: the simulator must catch every one.
 */
import {
  type CommitRule,
  commitByMajority,
  type Message,
  membersOf,
  type Persist,
} from '../../../src/lease/raft/index.ts';
import { agreedValue } from '../../../src/lease/raft/quorum.ts';

export interface Bug {
  readonly commitRule?: CommitRule;
  /** Reports a write as durable when it is only queued. */
  readonly skipsSync?: boolean;
  /** Sends at once what must wait for the disk. */
  readonly sendsBeforePersist?: boolean;
  readonly distort?: (persist: Persist) => Persist;
  /** Changes what leaves a node. */
  readonly distortMessage?: (message: Message) => Message;
  /** Serves reads at the leader's commit index without asking anybody. */
  readonly readsWithoutRound?: boolean;
  /** Of lives by lease. */
  readonly clocks?: {
    /** How fast the clock of each node goes, drawn within the bounds where nothing is said. */
    readonly rates?: Readonly<Record<string, number>>;
    readonly stopAsleep?: boolean;
  };
  /** A node that was started again votes at once, whatever it had promised. */
  readonly forgetsItsWord?: boolean;
  /** Puts every received snapshot in place, whatever the log already holds. */
  readonly installsBlindly?: boolean;
}

export const BUGS: Readonly<Record<string, Bug>> = {
  'ack-before-majority': {
    commitRule: ({ configuration, term, commitIndex, matchOf, termAt }) => {
      const own = Math.max(...membersOf(configuration).map(matchOf));
      return own > commitIndex && termAt(own) === term ? own : commitIndex;
    },
  },
  'skip-sync': { skipsSync: true },
  'send-before-persist': { sendsBeforePersist: true },
  'forget-vote': {
    distort: (persist) => ({
      ...persist,
      hardState: persist.hardState && { ...persist.hardState, votedFor: null },
    }),
  },
  'commit-older-term-by-counting': {
    commitRule: ({ configuration, commitIndex, matchOf }) =>
      Math.max(commitIndex, agreedValue(configuration, matchOf)),
  },
  'one-majority-while-joint': {
    commitRule: (input) =>
      commitByMajority({ ...input, configuration: { ...input.configuration, outgoing: [] } }),
  },
  'read-without-round': { readsWithoutRound: true },
  'install-blindly': { installsBlindly: true },
};
