import { type Clock, every, type Logger, type PeerId } from '../base/index.ts';
import type { Leadership } from './group.ts';
import { listMembers, MACHINE_VERSION, type Member } from './machine/index.ts';
import { onceApplied } from './once-applied.ts';
import type { RaftState } from './raft/index.ts';
import type { Replica } from './replica/index.ts';

export interface VersionKeeperComponents {
  readonly replica: Replica;
  readonly clock: Clock;
  readonly log: Logger;
}

const LOOK_EVERY_MS = 1_000;

/**
 * The version gate: agrees on what everybody who keeps the log is known to understand. It looks at once when a member was admitted, which
 * the founder is: a mesh of one goes by the newest version from its first command on.
 */
export function keepVersion(
  leadership: Leadership,
  { replica, clock, log }: VersionKeeperComponents,
): Disposable {
  const agreed = onceApplied((context) => listMembers(context));
  let isRaising = false;
  const look = () => {
    if (isRaising || leadership.signal.aborted || replica.machineVersion >= MACHINE_VERSION) return;
    const members = leadership.read(({ module }) => agreed(module('members')));
    const version = Math.min(MACHINE_VERSION, understoodBy(replica.raftState.configuration, members));
    if (version <= replica.machineVersion) return;
    isRaising = true;
    leadership
      .propose({ module: 'machine', kind: 'raise', body: { version } })
      .then(() => log.info({ version }, 'machine version agreed'))
      .catch((err: unknown) => log.debug({ err }, 'machine version not agreed, will try again'))
      .finally(() => {
        isRaising = false;
      });
  };
  const looks = every(clock, LOOK_EVERY_MS, look);
  const facts = replica.onFacts((told) => {
    if (told.some(({ module, type }) => module === 'members' && type === 'admitted')) look();
  });
  return {
    [Symbol.dispose]() {
      looks[Symbol.dispose]();
      facts[Symbol.dispose]();
    },
  };
}

/** @returns the newest version that all who keep the log understand; 1 while one of them has not said. */
export function understoodBy(
  { voters, outgoing, learners }: RaftState['configuration'],
  members: readonly Pick<Member, 'peerId' | 'understandsVersion'>[],
): number {
  const known = new Map<PeerId, number>(
    members.map(({ peerId, understandsVersion }) => [peerId, understandsVersion]),
  );
  return Math.min(...[...voters, ...outgoing, ...learners].map((peer) => known.get(peer) ?? 1));
}
