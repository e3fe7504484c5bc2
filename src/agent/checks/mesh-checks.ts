import { REVOKED_WAY_OUT } from '../../mesh/index.ts';
import type { Check, Finding } from '../doctor.ts';
import type { MeshNode } from '../mesh-node.ts';
import { observeSelf } from '../net/observations.ts';
import { judgePortMapping } from '../net/port-mapping-rules.ts';
import { judgeClocks, judgePower, judgeVersions } from './check-rules.ts';

/** What only the other members can tell: whether clocks agree, what they run, whether they are there. */
export function meshChecks(node: MeshNode): readonly Check[] {
  return [
    { name: 'mesh', run: async () => [membershipFinding(node)] },
    { name: 'node', run: async () => [drainFinding(node)] },
    { name: 'clock', run: async () => [await clockFinding(node)] },
    { name: 'versions', run: async () => [versionFinding(node)] },
    { name: 'mesh', run: async () => [await linksFinding(node)] },
    { name: 'reach', run: async () => [portFinding(node), await quicFinding(node)] },
    { name: 'machine', run: async () => [judgePower(node.power)] },
  ];
}

function membershipFinding({ mesh, role, membership }: MeshNode): Finding {
  const name = 'mesh.membership';
  const end = mesh.admission.own.current;
  if (end === undefined)
    return { name, status: 'ok', detail: `${role} of mesh ${membership.meshId}`, mend: null };
  const since = end.atMs === undefined ? '' : ` ${new Date(end.atMs).toISOString()}`;
  const detail = `this node was revoked${since}: it has no part in mesh ${membership.meshId} any more`;
  return { name, status: 'fail', detail, mend: REVOKED_WAY_OUT };
}

/** Somebody wanted it so, and may have forgotten: jobs that need this node wait. */
function drainFinding({ drain, self }: MeshNode): Finding {
  const name = 'node.drain';
  if (!drain.isDraining) return { name, status: 'ok', detail: 'takes jobs', mend: null };
  const detail = 'drained: it takes no new jobs, what runs goes on';
  return { name, status: 'warn', detail, mend: `aspen-agent node undrain ${self}` };
}

async function clockFinding(node: MeshNode): Promise<Finding> {
  const { messenger, transport } = node.mesh;
  const observations = await observeSelf({ messenger, transport, clock: node.platform.clock });
  return judgeClocks(
    observations.map(({ peerId, clockAheadMs, rttMs }) => ({
      name: node.registry.node(peerId)?.profile.name ?? peerId,
      aheadMs: clockAheadMs,
      rttMs,
    })),
  );
}

function versionFinding(node: MeshNode): Finding {
  const others = node.registry
    .nodes()
    .filter(({ isAlive }) => isAlive)
    .map(({ profile }) => ({ name: profile.name, version: profile.version }));
  return judgeVersions(node.platform.version, others);
}

async function linksFinding(node: MeshNode): Promise<Finding> {
  const name = 'mesh.links';
  await node.mesh.transport.confirm?.(); // Z5
  const others = node.gate.members().filter(({ peerId }) => peerId !== node.self);
  const up = new Set(
    node.mesh.transport.links().flatMap(({ peerId, isQuiet }) => (isQuiet === true ? [] : peerId)),
  );
  const linked = others.filter(({ peerId }) => up.has(peerId)).length;
  if (others.length === 0)
    return { name, status: 'ok', detail: 'this node is a mesh of its own', mend: null };
  if (linked > 0) {
    return {
      name,
      status: 'ok',
      detail: `linked with ${linked} of ${others.length} other members`,
      mend: null,
    };
  }
  return {
    name,
    status: 'fail',
    detail: `none of ${others.length} other members is linked`,
    mend: 'aspen-agent netcheck; with a ticket of a member that runs: aspen-agent join <ticket>',
  };
}

/** A port that no router opens is no fault: members are reached over others then. */
function portFinding(node: MeshNode): Finding {
  const { isSo, detail } = judgePortMapping(node.portMapping?.state ?? { step: 'off' });
  const isNeeded = node.mesh.reach.reachability !== 'public' && isSo === false;
  return {
    name: 'reach.port-mapping',
    status: isNeeded ? 'warn' : 'ok',
    detail,
    mend: isNeeded
      ? 'let the router open ports (UPnP, NAT-PMP or PCP), or forward one and set announce'
      : null,
  };
}

/** Without QUIC some routers let no hole through: members are reached over others then. */
async function quicFinding({ mesh }: MeshNode): Promise<Finding> {
  const name = 'reach.quic';
  const state = await mesh.transport.reach?.quic?.();
  if (state === undefined) return { name, status: 'ok', detail: 'links here need none', mend: null };
  const isMissed = state.isWanted && !state.isSo && mesh.reach.reachability !== 'public';
  return {
    name,
    status: isMissed ? 'warn' : 'ok',
    detail: state.detail,
    mend: isMissed ? 'npm install --include=optional where aspen-agent is installed, or quic: off' : null,
  };
}
