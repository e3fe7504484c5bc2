import type { Check, Finding } from '../doctor.ts';
import type { MeshNode } from '../mesh-node.ts';

/** Whether the group this node knows of can decide. */
export function groupCheck(node: MeshNode): Check {
  return { name: 'group', run: async () => [quorumFinding(node), ...haltFindings(node)] };
}

function quorumFinding(node: MeshNode): Finding {
  const { hasQuorum, leader, voters } = node.group.status();
  const name = 'group.quorum';
  const count = voters.length === 1 ? 'one voter' : `${voters.length} voters`;
  if (hasQuorum)
    return {
      name,
      status: 'ok',
      detail: `${count}, led by ${leader ?? 'nobody yet'}`,
      mend: null,
    };
  return {
    name,
    status: 'fail',
    detail: `no majority of the ${voters.length} voters answers: nothing new is agreed, what runs goes on`,
    mend: 'aspen-agent group status',
  };
}

function haltFindings(node: MeshNode): Finding[] {
  const reason = node.group.haltReason;
  if (reason === null) return [];
  return [{ name: 'group.halted', status: 'fail', detail: reason, mend: 'aspen-agent group status' }];
}
