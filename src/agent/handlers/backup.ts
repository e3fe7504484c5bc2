import type { Handlers } from '../../rpc/index.ts';
import { Backups } from '../backups.ts';
import type { Daemon } from '../daemon.ts';

type BackupHandlers = Pick<Handlers, 'backup.begin' | 'backup.read' | 'backup.end'>;

/** The agreed state as a file, piece by piece. */
export function backupHandlers(daemon: Daemon): BackupHandlers {
  const backups = new Backups(daemon.platform);
  return {
    'backup.begin': async ({ allowStale = false }) => {
      const { node, store } = daemon;
      const { meshId } = node.membership;
      return backups.begin({ store, client: node.group.client, meshId, peerId: node.self, allowStale });
    },
    'backup.read': async ({ id }) => {
      const piece = backups.read(id);
      return { data: piece === undefined ? null : Buffer.from(piece).toString('base64') };
    },
    'backup.end': async ({ id }) => {
      backups.end(id);
      return { ended: true };
    },
  };
}
