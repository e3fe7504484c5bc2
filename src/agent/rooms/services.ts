import { serveOutput } from '../../jobs/index.ts';
import type { Identity } from '../../mesh/index.ts';
import { WitnessWatch } from '../../mesh/index.ts';
import { linkMembership } from '../membership-links.ts';
import { Observer } from '../net/observer.ts';
import { linkRoots } from '../root-links.ts';
import type { NodeRooms } from './node-rooms.ts';

export interface ServiceComponents {
  readonly identity: Identity;
  /** What this node believes about root keys has changed. */
  readonly onRoots: () => void;
}

/** What a running node answers others, and what it carries from one of its parts to another. */
export function serveNode(rooms: NodeRooms, { identity, onRoots }: ServiceComponents): readonly Disposable[] {
  const { self, platform, gate, mesh, group, registry, outputs, labels, drain, acquaintances } = rooms;
  const { clock, crypto, random, udp, logger } = platform;
  const { messenger, transport } = mesh;
  return [
    serveOutput({ messenger, store: outputs, clock }),
    linkMembership({ self, crypto, gate, registry, group, transport }),
    linkRoots({
      self,
      identitySeed: identity.seed,
      crypto,
      gate,
      group,
      registry,
      transport,
      clock,
      log: logger.child({ part: 'roots' }),
      onChange: onRoots,
    }),
    new Observer({ messenger, transport, clock, random, udp }),
    new WitnessWatch({
      messenger,
      roots: gate.roots,
      clock,
      log: logger.child({ part: 'witnesses' }),
      ownVoters: () => {
        const { role, voters } = group.status();
        return role === 'spare' ? undefined : voters;
      },
      saidVoters: () => group.status().voters,
    }),
    messenger.handle('node/label', ({ from, body }) => labels.onRequest(acquaintances.roleOf(from), body)),
    messenger.handle('node/drain', ({ from, body }) => drain.onRequest(acquaintances.roleOf(from), body)),
  ];
}
