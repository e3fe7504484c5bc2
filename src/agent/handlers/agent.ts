import { REVOKED_WAY_OUT } from '../../mesh/index.ts';
import type { AgentStatus, Handlers } from '../../rpc/index.ts';
import { agentChecks } from '../checks/index.ts';
import type { Daemon } from '../daemon.ts';
import { runChecks, worstOf } from '../doctor.ts';
import type { MeshNode } from '../mesh-node.ts';
import type { DiskLoss } from '../store-keeper.ts';

/** A link on which nothing came for so long is asked before it is called up. Unit: ms. */
const UNHEARD_MS = 3_000;

type AgentHandlers = Pick<Handlers, 'agent.status' | 'agent.doctor' | 'agent.stop' | 'config.show'>;

/** This process: how it stands, what it runs with, and its end. */
export function agentHandlers(
  daemon: Daemon,
  { pid, onStop }: { readonly pid: number; readonly onStop: () => void },
): AgentHandlers {
  return {
    'agent.status': async () => {
      const [disks] = await Promise.all([
        daemon.node.group.disks(),
        daemon.node.mesh.transport.confirm?.(UNHEARD_MS), // Z5
      ]);
      return statusOf(daemon, disks);
    },
    'agent.doctor': async () => {
      const findings = await runChecks(daemon.clock, agentChecks(daemon));
      return { worst: worstOf(findings), findings: findings.map((finding) => ({ ...finding })) };
    },
    'agent.stop': async () => {
      onStop();
      return { stopping: true, pid };
    },
    'config.show': async () => ({ config: daemon.config.settings.map((setting) => ({ ...setting })) }),
  };
}

/** What became of a store that was lost; it is as it should be otherwise. */
function diskOf(loss: DiskLoss | undefined): NonNullable<AgentStatus['disk']> {
  if (loss === undefined) return { state: 'ok', reason: null, quarantine: null, mend: null };
  return {
    state: 'recovering',
    reason: loss.reason,
    quarantine: loss.quarantine,
    mend: 'nothing, while the group has a quorum: the node comes back as a learner by itself; else `aspen-agent group recover` on a node that holds a copy',
  };
}

function rootOf(node: MeshNode): NonNullable<AgentStatus['root']> {
  const { roots } = node.gate;
  return {
    number: roots.number,
    since: roots.latest?.issuedAtMs ?? null,
    isDue: node.group.agreedRoots()?.isDue ?? null,
    hasList: !roots.lacksList,
  };
}

/** What this node was shown when it knocked. */
function revokedOf({ mesh }: MeshNode): NonNullable<AgentStatus['revoked']> | null {
  const end = mesh.admission.own.current;
  return end === undefined ? null : { atMs: end.atMs ?? null, mend: REVOKED_WAY_OUT };
}

/** A root key that this node met and cannot believe, with the way out. */
function rootProblems(node: MeshNode): string[] {
  const problem = node.mesh.roots.problem();
  if (problem === undefined) return [];
  return [
    `${problem}; if it stays so, make a ticket on a member that is known to be sound, and here: aspen-agent join <ticket>`,
  ];
}

/** Whether this node still speaks in the name it had, and why not. */
function sessionOf({ node, clock }: Daemon): NonNullable<AgentStatus['session']> {
  const { sessionId, lastConfirmedSentMs, latestLoss } = node.group.session;
  const confirmedAgoMs = lastConfirmedSentMs === null ? null : clock.monotonicMs() - lastConfirmedSentMs;
  return { id: sessionId, confirmedAgoMs, latestLoss: latestLoss && { ...latestLoss } };
}

function upheavalOf({ mesh }: MeshNode): NonNullable<AgentStatus['connectivity']['latestUpheaval']> | null {
  const { latest } = mesh.roaming;
  return latest === undefined ? null : { ...latest.upheaval, atMs: latest.atMs };
}

function statusOf(daemon: Daemon, disks: number | null): AgentStatus {
  const { node, platform, config } = daemon;
  const group = node.group.status();
  const all = node.mesh.transport.links();
  const links = all.filter(({ isQuiet }) => isQuiet !== true); // Z5
  return {
    peerId: node.self,
    name: config.config.name,
    meshId: node.membership.meshId,
    version: platform.version,
    uptimeMs: daemon.uptimeMs,
    role: node.role,
    isDraining: node.drain.isDraining,
    revoked: revokedOf(node),
    group: {
      ...group,
      voters: [...group.voters],
      standbys: [...group.standbys],
      haltReason: node.group.haltReason,
      disks,
    },
    disk: diskOf(daemon.diskLoss),
    root: rootOf(node),
    session: sessionOf(daemon),
    peers: links.length,
    members: node.gate.members().length,
    runningAttempts: node.worker.runningCount,
    connectivity: {
      addresses: [...node.mesh.reach.addresses()],
      reachability: node.mesh.reach.reachability,
      isRelay: node.mesh.reach.isRelay,
      circuitsCarried: node.mesh.transport.reach?.carriedCount() ?? 0,
      direct: links.filter(({ path }) => path === 'direct').length,
      relay: links.filter(({ path }) => path === 'relay').length,
      doubted: all.length - links.length,
      longestUnheardMs: links.length === 0 ? null : Math.max(...links.map(({ unheardMs = 0 }) => unheardMs)),
      latestUpheaval: upheavalOf(node),
      problems: [
        ...(node.mesh.transport.problems?.() ?? []),
        ...node.mesh.connector.problems(),
        ...rootProblems(node),
      ],
    },
  };
}
