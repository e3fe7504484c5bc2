import type { PeerId } from '../../base/index.ts';
import type { Handlers } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';

type GroupHandlers = Pick<Handlers, 'group.status' | 'group.transfer'>;

/** The care of the group that agrees for this mesh. */
export function groupHandlers(daemon: Daemon): GroupHandlers {
  return {
    'group.status': async () => {
      const { node } = daemon;
      const report = await node.group.report();
      return {
        ...report,
        members: report.members.map((member) => ({ ...member, name: nameOf(daemon, member.peerId) })),
        health: report.health.map((line) => ({ ...line })),
      };
    },
    'group.transfer': async ({ to }) =>
      daemon.node.group.transfer(to === undefined ? {} : { to: to as PeerId }),
  };
}

function nameOf({ node, config }: Daemon, peerId: string): string | null {
  if (peerId === node.self) return config.config.name;
  return node.registry.node(peerId as PeerId)?.profile.name ?? null;
}
