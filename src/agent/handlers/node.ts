import { AspenError, type PeerId } from '../../base/index.ts';
import type { Handlers, NodeEntry } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import type { MeshNode } from '../mesh-node.ts';

type NodeHandlers = Pick<
  Handlers,
  'node.list' | 'node.label' | 'node.drain' | 'node.undrain' | 'node.revoke'
>;

const LABEL_TIMEOUT_MS = 10_000;

/** Members as nodes that may run jobs. */
export function nodeHandlers(daemon: Daemon): NodeHandlers {
  return {
    'node.list': async () => ({ nodes: nodesOf(daemon.node) }),
    'node.label': async ({ peerId = daemon.node.self, labels = {}, remove = [] }) => {
      const { node } = daemon;
      const change = { labels, remove };
      if (peerId === node.self) return { peerId, labels: { ...(await node.labels.change(change)) } };
      if (node.gate.certificateOf(peerId as PeerId) === undefined)
        throw new AspenError('NOT_FOUND', `no member ${peerId}`);
      const options = { timeoutMs: LABEL_TIMEOUT_MS };
      const after = await node.requests.request(peerId as PeerId, 'node/label', change, options);
      return { peerId, labels: { ...(after as Record<string, string>) } };
    },
    'node.drain': async ({ peerId }) => setDrain(daemon, peerId, true),
    'node.undrain': async ({ peerId }) => setDrain(daemon, peerId, false),
    'node.revoke': async ({ peerId, requestId }) => {
      const { node } = daemon;
      if (peerId === node.self)
        throw new AspenError('CONFLICT', 'a node cannot revoke itself; to go for good: aspen-agent leave');
      return node.members.revokeMember(peerId, requestId);
    },
  };
}

async function setDrain({ node }: Daemon, peerId: string = node.self, isDraining: boolean) {
  if (peerId === node.self) return { peerId, ...(await node.drain.set(isDraining)) };
  if (node.gate.certificateOf(peerId as PeerId) === undefined)
    throw new AspenError('NOT_FOUND', `no member ${peerId}`);
  const options = { timeoutMs: LABEL_TIMEOUT_MS };
  await node.requests.request(peerId as PeerId, 'node/drain', { isDraining }, options);
  return { peerId, isDraining };
}

function nodesOf(node: MeshNode): NodeEntry[] {
  return node.gate.members().map(({ peerId, role }) => {
    const entry = node.registry.node(peerId);
    return {
      peerId,
      name: entry?.profile.name ?? null,
      role,
      labels: { ...entry?.profile.labels },
      isSelf: peerId === node.self,
      isAlive: peerId === node.self || (entry?.isAlive ?? false),
      version: entry?.profile.version ?? null,
      isDraining: entry?.profile.isDraining ?? false,
      machine: { ...entry?.profile.machine },
      runs: [...(entry?.profile.types ?? [])],
      slots: entry?.profile.slots ?? null,
      groupRole: entry?.profile.groupRole ?? null,
    };
  });
}
