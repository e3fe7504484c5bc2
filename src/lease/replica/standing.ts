import type { Term } from '../../base/index.ts';
import type { GroupStatus } from '../group.ts';
import type { Standing } from '../recovery-rules.ts';
import type { ReplicaCore } from './core.ts';

/** What this node is in the group, as it sees it. */
export function statusOf({ components: { self }, state: { raft, machine } }: ReplicaCore): GroupStatus {
  const { leader, term, commitIndex, configuration, hasQuorum } = raft.state;
  const { voters, outgoing, learners } = configuration;
  const isVoter = voters.includes(self) || outgoing.includes(self);
  return {
    role: isVoter ? 'voter' : learners.includes(self) ? 'standby' : 'spare',
    leader,
    term,
    commitIndex,
    appliedIndex: machine.appliedIndex,
    voters,
    standbys: learners,
    hasQuorum,
  };
}

/** What this node could go on with alone, were all others lost. */
export function standingOf(core: ReplicaCore): Standing {
  const { raft, log } = core.state;
  const { configuration, commitIndex, leader } = raft.state;
  const lastIndex = log.lastIndex();
  return {
    peerId: core.components.self,
    epoch: { ...core.epoch, number: core.epochNumber },
    lastTerm: log.term(lastIndex) ?? (0 as Term),
    lastIndex,
    commitIndex,
    configuration,
    leader,
  };
}
