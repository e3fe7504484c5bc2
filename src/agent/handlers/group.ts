import type { PeerId } from '../../base/index.ts';
import type { Handlers } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';

type GroupHandlers = Pick<Handlers, 'group.status' | 'group.transfer' | 'group.recover'>;

/** The care of the group that agrees for this mesh. */
export function groupHandlers(daemon: Daemon): GroupHandlers {
  return {
    'group.status': async () => {
      const { node } = daemon;
      const report = await node.group.report();
      return {
        ...report,
        members: report.members.map((member) => ({ ...member, name: nameOf(daemon, member.peerId) })),
        health: [...report.health.map((line) => ({ ...line })), ...supersededLine(daemon)],
      };
    },
    'group.transfer': async ({ to }) =>
      daemon.node.group.transfer(to === undefined ? {} : { to: to as PeerId }),
    'group.recover': async ({ dryRun = false, on, force = false }) => {
      const options = { isDryRun: dryRun, force, ...(on !== undefined && { on: on as PeerId }) };
      const plan = await daemon.node.group.recover(options);
      return {
        isDone: !dryRun,
        on: plan.on,
        epoch: plan.epoch.number,
        survivors: plan.survivors.map(({ peerId, epoch, lastTerm, lastIndex, configuration }, at) => ({
          peerId,
          name: nameOf(daemon, peerId),
          role: configuration.voters.includes(peerId)
            ? ('voter' as const)
            : configuration.learners.includes(peerId)
              ? ('standby' as const)
              : ('spare' as const),
          epoch: epoch.number,
          term: lastTerm,
          lastIndex,
          isBest: at === 0,
        })),
        missing: [...plan.missing],
        mayBeLost: [...plan.mayBeLost],
      };
    },
  };
}

/** What a recovery elsewhere made this node give up. */
function supersededLine({ node }: Daemon) {
  const { superseded } = node.group;
  if (superseded === undefined) return [];
  const { epoch, lastIndex, newEpoch, recoveredBy } = superseded;
  const text = `this node gave up its copy of epoch ${epoch} (up to entry ${lastIndex}): ${recoveredBy} began epoch ${newEpoch} without it`;
  return [{ level: 'warning' as const, text }];
}

function nameOf({ node, config }: Daemon, peerId: string): string | null {
  if (peerId === node.self) return config.config.name;
  return node.registry.node(peerId as PeerId)?.profile.name ?? null;
}
