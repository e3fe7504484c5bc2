import { AspenError } from '../base/index.ts';
import { roleAllows } from '../mesh/index.ts';
import { type ApplyContext, textKey } from './machine-port.ts';
import type { JobSpec } from './spec.ts';

/** What of a member decides here. */
interface KnownMember {
  readonly role: Parameters<typeof roleAllows>[0];
  readonly revokedAtMs: number | null;
}

/**
 * - P10 A job that is required on a node which is no member, was revoked, may run no jobs, or is to be avoided at the same time, is refused in
 *   the command that submits it, by the members agreed up to there. One that is a member and away is waited for. Types and labels refuse
 *   nothing: workers attach and labels are set at any time.
 * @throws AspenError PLACEMENT_IMPOSSIBLE
 */
export function checkRequiredNode({ affinity: { node, avoid } }: JobSpec, context: ApplyContext): void {
  if (node === null || node.mode !== 'require') return;
  const { peerId } = node;
  const member = context.read<KnownMember>('members', 'members').get(textKey(peerId));
  const fault = faultOf(member) ?? (avoid['node'] === peerId ? 'is required and to be avoided' : undefined);
  if (fault === undefined) return;
  throw new AspenError('PLACEMENT_IMPOSSIBLE', `no node can run this job: ${peerId} ${fault}`, {
    details: { peerId, path: 'affinity.node' },
  });
}

function faultOf(member: KnownMember | undefined): string | undefined {
  if (member === undefined) return 'is no member of this mesh';
  if (member.revokedAtMs !== null) return 'was revoked from this mesh';
  return roleAllows(member.role, 'worker') ? undefined : `has the role ${member.role}, which runs no jobs`;
}
