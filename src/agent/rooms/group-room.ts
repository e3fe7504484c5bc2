import { jobsModule } from '../../jobs/index.ts';
import { createGroup, type Group, type GroupComponents } from '../../lease/index.ts';
import type { Store } from '../../storage/index.ts';
import type { AgentConfig } from '../config.ts';
import type { Membership } from '../membership.ts';
import { voterTraitsOf } from '../voter-traits.ts';
import type { NodeRooms } from './node-rooms.ts';

export interface GroupRoomComponents {
  readonly store: Store;
  readonly membership: Membership;
  readonly config: AgentConfig;
  readonly onFatal: (error: unknown) => void;
  readonly onReadmitted: GroupComponents['onReadmitted'] | undefined;
  readonly onSetBack: GroupComponents['onSetBack'] | undefined;
  readonly lossReason: string | undefined;
}

/** This node's part in what is agreed. */
export function createNodeGroup(
  rooms: NodeRooms,
  { store, membership, config, onFatal, onReadmitted, onSetBack, lossReason }: GroupRoomComponents,
): Group {
  const { self, platform, acquaintances } = rooms;
  const { clock, random, crypto, logger: log, directory, trial } = platform;
  return createGroup(
    {
      self,
      incarnation: directory.incarnation,
      bootCount: directory.bootCount,
      identitySeed: directory.seed,
      meshId: membership.meshId,
      crypto,
      store,
      messenger: rooms.mesh.messenger,
      clock,
      random,
      log,
      modules: [jobsModule],
      onFatal,
      traitsOf: (peerId) => voterTraitsOf(rooms.registry.node(peerId)?.profile, clock.wallMs()),
      mayVote: (peerId) => acquaintances.roleOf(peerId) === 'voter',
      ...(onReadmitted !== undefined && { onReadmitted }),
      ...(onSetBack !== undefined && { onSetBack }),
      ...(lossReason !== undefined && { lossReason }),
      ...trial,
    },
    {
      roles: { voters: config.voters, graceMs: config.voterGraceMs },
      ...(trial?.replica !== undefined && { replica: trial.replica }),
    },
  );
}
