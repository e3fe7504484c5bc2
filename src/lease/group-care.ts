import { z } from 'zod';
import { AspenError, type PeerId } from '../base/index.ts';
import { isPeerId } from '../mesh/index.ts';
import { bestSuccessor } from './best-successor.ts';
import type { LeaderRequest, Leadership } from './group.ts';
import type { GroupReport } from './group-report.ts';
import { parseWith, requireRole } from './machine/index.ts';
import type { Replica } from './replica/index.ts';

export interface GroupCareComponents {
  readonly self: PeerId;
  readonly replica: Replica;
  readonly report: () => GroupReport;
}

const parseTransfer = parseWith(
  z.object({ to: z.custom<PeerId>(isPeerId, 'expected a peer id').nullable() }),
);

/** What the leader does for whoever looks after the group. */
export function serveGroupCare(leadership: Leadership, components: GroupCareComponents): void {
  leadership.serve('group/report', async () => {
    await leadership.confirm();
    return components.report();
  });
  leadership.serve('group/transfer', (request) => transfer(leadership, components, request));
}

/** Begins a transfer; the asker sees from the outside whether it came about. Asked again after it did, it is not the same leader. */
function transfer(
  leadership: Leadership,
  { self, replica }: GroupCareComponents,
  { from, body }: LeaderRequest,
): { readonly from: PeerId } {
  const { to } = parseTransfer(body);
  leadership.read(({ module }) =>
    requireRole(module('members'), from, { needed: 'voter', deed: 'transfer the leadership' }),
  );
  if (to === self) return { from: self };
  const state = replica.raftState;
  const successor = to ?? bestSuccessor(state, self);
  if (successor === undefined) {
    throw new AspenError('CONFLICT', 'no other voter is in contact that could lead', {
      details: { current: [...state.configuration.voters] },
    });
  }
  if (!replica.transferLeadership(successor)) {
    throw new AspenError('CONFLICT', `${successor} has no vote: only a voter can lead`, {
      details: { current: [...state.configuration.voters] },
    });
  }
  return { from: self };
}
