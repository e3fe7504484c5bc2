import { AspenError, type MetricFamily, metric, metricBy } from '../base/index.ts';
import type { MeshNode } from './mesh-node.ts';

interface QueueRow {
  readonly queue: string;
  readonly states: Readonly<Record<string, number>>;
}

/** @returns every number that this node can tell of itself, read now: nothing is asked of any other node. */
export async function nodeMetrics(node: MeshNode, uptimeMs: number): Promise<MetricFamily[]> {
  return [
    ...selfFamilies(node, uptimeMs),
    ...groupFamilies(node),
    ...node.jobCounts.families(),
    ...(await queueFamilies(node)),
    ...workerFamilies(node),
    ...linkFamilies(node),
    ...strangerFamilies(node),
    ...registryFamilies(node),
    ...blobFamilies(node),
  ];
}

function selfFamilies(node: MeshNode, uptimeMs: number): MetricFamily[] {
  const labels = { version: node.platform.version, node: node.self, mesh: node.membership.meshId };
  return [
    { name: 'aspen_info', help: 'This node.', type: 'gauge', samples: [{ labels, value: 1 }] },
    metric('gauge', 'aspen_uptime_seconds', 'Since the agent began.', uptimeMs / 1_000),
  ];
}

function groupFamilies(node: MeshNode): MetricFamily[] {
  const { role, leader, term, commitIndex, appliedIndex, voters, standbys, hasQuorum } = node.group.status();
  const counts = node.group.counts();
  const counter = (name: string, help: string, value: number) => metric('counter', name, help, value);
  const gauge = (name: string, help: string, value: number) => metric('gauge', name, help, value);
  return [
    gauge('aspen_raft_term', 'Term this node is in.', term),
    gauge('aspen_raft_commit_index', 'Last entry known to be agreed.', commitIndex),
    gauge('aspen_raft_applied_index', 'Last entry applied here.', appliedIndex),
    gauge('aspen_raft_is_leader', '1 while this node leads.', Number(leader === node.self)),
    gauge('aspen_raft_has_leader', '1 while this node knows who leads.', Number(leader !== null)),
    gauge('aspen_raft_has_quorum', '1 while a majority answers.', Number(hasQuorum)),
    gauge('aspen_raft_voters', 'Members with a vote.', voters.length),
    gauge('aspen_raft_standbys', 'Members that hold the state without a vote.', standbys.length),
    metricBy('gauge', 'aspen_raft_role', "This node's part in the group.", {
      label: 'role',
      values: [[role, 1]],
    }),
    gauge(
      'aspen_raft_is_halted',
      '1 when this replica no longer applies.',
      Number(node.group.haltReason !== null),
    ),
    counter('aspen_raft_proposals_total', 'Commands taken in while this node led.', counts.proposalsAdmitted),
    counter('aspen_raft_proposals_refused_total', 'Commands turned away.', counts.proposalsRefused),
    gauge('aspen_raft_log_entries', 'Entries in the log.', counts.logEntries),
    gauge('aspen_raft_log_bytes', 'Size of the log.', counts.logBytes),
    {
      name: 'aspen_raft_log_sync_duration_seconds',
      help: 'How long the disk took to make each flush of the log durable.',
      type: 'histogram',
      samples: [counts.logSyncs],
    },
  ];
}

/** Only where this node holds a replica: another one would have to ask. */
async function queueFamilies(node: MeshNode): Promise<MetricFamily[]> {
  if (!node.group.isMember) return [];
  const queues = await readQueues(node);
  const byState = new Map<string, number>();
  const waiting: [string, number][] = [];
  for (const { queue, states } of queues) {
    for (const [state, count] of Object.entries(states))
      byState.set(state, (byState.get(state) ?? 0) + count);
    waiting.push([queue, states['queued'] ?? 0]);
  }
  return [
    metricBy('gauge', 'aspen_jobs', 'Jobs that are kept, by state, as this replica has them.', {
      label: 'state',
      values: byState,
    }),
    metricBy('gauge', 'aspen_queue_jobs_queued', 'Jobs that wait for a node, by queue.', {
      label: 'queue',
      values: waiting,
    }),
  ];
}

/** The first page of queues: a mesh with more has its largest ones counted as `(other)` at any rate. */
async function readQueues(node: MeshNode): Promise<readonly QueueRow[]> {
  try {
    const answer = await node.group.client.query<{ readonly queues: readonly QueueRow[] }>({
      module: 'jobs',
      kind: 'queues',
      body: {},
      consistency: 'stale',
    });
    return answer.queues;
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    return []; // a replica that is being replaced has no answer at this moment
  }
}

function workerFamilies(node: MeshNode): MetricFamily[] {
  return [
    metric(
      'gauge',
      'aspen_worker_slots',
      'Attempts that may run here at once, attached workers included.',
      node.worker.offer().slots,
    ),
    metric(
      'gauge',
      'aspen_worker_attempts',
      'Attempts that run here, or whose outcome is not agreed yet.',
      node.worker.runningCount,
    ),
    metric(
      'gauge',
      'aspen_worker_is_draining',
      '1 while this node takes no new jobs.',
      Number(node.drain.isDraining),
    ),
  ];
}

function linkFamilies(node: MeshNode): MetricFamily[] {
  const links = node.mesh.transport.links();
  const byPath = new Map<string, number>([
    ['direct', 0],
    ['relay', 0],
  ]);
  for (const { path } of links) byPath.set(path, (byPath.get(path) ?? 0) + 1);
  const perPeer = (read: (link: (typeof links)[number]) => number | undefined) => ({
    label: 'peer',
    values: links.flatMap((link): [string, number][] => {
      const value = read(link);
      return value === undefined ? [] : [[link.peerId, value]];
    }),
  });
  return [
    metric('gauge', 'aspen_members', 'Members of the mesh, this one included.', node.gate.members().length),
    metricBy('gauge', 'aspen_links', 'Members with an open channel, by path.', {
      label: 'path',
      values: byPath,
    }),
    metricBy(
      'gauge',
      'aspen_link_round_trip_seconds',
      'Smoothed round trip to a peer.',
      perPeer(({ rttMs }) => (rttMs === undefined ? undefined : rttMs / 1_000)),
    ),
    metricBy(
      'counter',
      'aspen_link_received_bytes_total',
      'Bytes from a peer since its channel opened.',
      perPeer(({ bytesIn }) => bytesIn),
    ),
    metricBy(
      'counter',
      'aspen_link_sent_bytes_total',
      'Bytes to a peer since its channel opened.',
      perPeer(({ bytesOut }) => bytesOut),
    ),
  ];
}

function strangerFamilies(node: MeshNode): MetricFamily[] {
  const strangers = node.mesh.transport.strangers?.();
  return [
    metric(
      'gauge',
      'aspen_handshakes_pending',
      'Incoming connections of which nobody knows yet who they are.',
      strangers?.handshakes,
    ),
    metric(
      'counter',
      'aspen_connections_turned_away_total',
      'Incoming connections closed for want of a place for strangers.',
      strangers?.turnedAway,
    ),
  ];
}

function registryFamilies(node: MeshNode): MetricFamily[] {
  const { synced, syncFailed, applied, refused } = node.registry.counts();
  return [
    metricBy('counter', 'aspen_gossip_syncs_total', 'Rounds of anti-entropy, by how they ended.', {
      label: 'result',
      values: [
        ['ok', synced],
        ['failed', syncFailed],
      ],
    }),
    metric(
      'counter',
      'aspen_gossip_entries_applied_total',
      'Entries of the registry taken over from others.',
      applied,
    ),
    metricBy(
      'counter',
      'aspen_gossip_entries_refused_total',
      'Entries of the registry not taken, by reason.',
      {
        label: 'reason',
        values: Object.entries(refused),
      },
    ),
  ];
}

function blobFamilies(node: MeshNode): MetricFamily[] {
  const { store } = node.blobs;
  return [
    metric('gauge', 'aspen_blob_bytes', 'Blobs on this node.', store.usedBytes),
    metric('gauge', 'aspen_blob_quota_bytes', 'Most bytes of blobs on this node.', store.quotaBytes),
    metric(
      'counter',
      'aspen_blob_damaged_chunks_total',
      'Chunks that were not what they had to be.',
      store.damagedCount,
    ),
    metricBy(
      'counter',
      'aspen_blob_holder_answers_total',
      'What other members gave as holders: chunks as they had to be, lies, and silences.',
      { label: 'kind', values: Object.entries(holderTotals(node)) },
    ),
  ];
}

function holderTotals(node: MeshNode): Readonly<Record<'chunk' | 'lie' | 'silence', number>> {
  const totals = { chunk: 0, lie: 0, silence: 0 };
  for (const { chunks, lies, stalls } of node.blobs.holderRecords()) {
    totals.chunk += chunks;
    totals.lie += lies;
    totals.silence += stalls;
  }
  return totals;
}
