import { blobHandlers } from '../../../src/agent/handlers/blob.ts';
import { counterHandlers } from '../../../src/agent/handlers/counter.ts';
import { dlqHandlers } from '../../../src/agent/handlers/dlq.ts';
import { electionHandlers } from '../../../src/agent/handlers/election.ts';
import { hookHandlers } from '../../../src/agent/handlers/hook.ts';
import { jobWatchHandlers } from '../../../src/agent/handlers/job-watch.ts';
import { kvHandlers } from '../../../src/agent/handlers/kv.ts';
import { leaseHandlers } from '../../../src/agent/handlers/lease.ts';
import { lockHandlers } from '../../../src/agent/handlers/lock.ts';
import { queueHandlers } from '../../../src/agent/handlers/queue.ts';
import { serviceHandlers } from '../../../src/agent/handlers/service.ts';
import { AspenError, formatMetrics, metric, type PeerId, spanStart } from '../../../src/base/index.ts';
import { jobsModule } from '../../../src/jobs/index.ts';
import {
  countersModule,
  kvModule,
  leasesModule,
  rateLimitsModule,
} from '../../../src/lease/machine/index.ts';
import type { Connection, Handlers, Job, JobState, NodeEntry, Result } from '../../../src/rpc/index.ts';
import { knownSecrets } from '../jobs/known-secrets.ts';
import { createFakeDaemon } from './fake-group.ts';

const PEER_ID = `12D3KooW${'A'.repeat(44)}`;
const OTHER_ID = `12D3KooW${'B'.repeat(44)}`;
const NOW_MS = 1_800_000_000_000;
const NODES: NodeEntry[] = ['fake', 'other'].map((name) => ({
  peerId: name === 'fake' ? PEER_ID : OTHER_ID,
  name,
  role: 'voter',
  labels: { zone: 'eu' },
  isSelf: name === 'fake',
  isAlive: true,
  version: '0.1.0',
  runs: ['shell'],
}));
const FINAL: readonly JobState[] = ['succeeded', 'dead', 'cancelled', 'skipped'];

const FAKE_BACKUP = {
  meshId: 'mesh_1',
  peerId: 'fake',
  epoch: 1,
  index: 10,
  term: 2,
  machineVersion: 1,
  takenAtMs: 0,
};

/** To be disposed where locks and the like were used: a leader has timers. */
export interface FakeAgent extends Disposable {
  handlers: Handlers;
  readonly peerId: string;
  readonly otherId: string;
  readonly jobs: Map<string, Job>;
  /** Puts so many keys. */
  fill(count: number, value: string): Promise<void>;
  /** Puts these keys. */
  fillFrom(keys: readonly string[]): Promise<void>;
  /** Whether somebody watched keys so far. */
  isWatched(): boolean;
  /** Every call, in order. */
  readonly calls: { readonly method: string; readonly params: unknown }[];
  /** What a shell job prints and how it ends, by its command. */
  readonly programs: Map<string, FakeProgram>;
  /** Makes writes fail until false again. */
  isWithoutQuorum: boolean;
  /** What `doctor` finds. */
  doctorFindings: Result<'agent.doctor'>['findings'];
  /** Called by `agent.stop`. */
  onStop: () => void;
  /** Ends a job that runs until told. */
  finish(id: string, ending?: Partial<Job>): void;
}

export interface FakeProgram {
  readonly output?: readonly (readonly ['stdout' | 'stderr', string])[];
  readonly result?: unknown;
  readonly state?: JobState;
  readonly error?: Job['error'];
  readonly runsUntilTold?: boolean;
  /** So many of its first bytes are kept no more. */
  readonly lostBytes?: number;
  /** What its second attempt prints, once the first was lost. */
  readonly again?: readonly (readonly ['stdout' | 'stderr', string])[];
  /** The stream of output breaks instead of ending. */
  readonly streamBreaks?: boolean;
}

/** An agent of one process and no mesh that keeps jobs and keys for real, and runs programs that tests describe. */
export function createFakeAgent(): FakeAgent {
  const waiters = new Map<string, (() => void)[]>();
  const requests = new Map<string, unknown>();
  let sequence = 0;
  const coordination = createFakeDaemon(PEER_ID as PeerId, [
    leasesModule,
    kvModule,
    countersModule,
    rateLimitsModule,
    jobsModule,
    knownSecrets,
  ]);
  const { daemon } = coordination;
  const putAll = async (keys: readonly string[], value: string) => {
    const { client } = daemon.node.group;
    for (const key of keys) await client.propose({ module: 'kv', kind: 'put', body: { key, value } });
  };
  const agent: FakeAgent = {
    [Symbol.dispose]: () => coordination[Symbol.dispose](),
    peerId: PEER_ID,
    otherId: OTHER_ID,
    jobs: new Map(),
    calls: [],
    fill: (count, value) =>
      putAll(
        Array.from({ length: count }, (_, n) => `key-${n}`),
        value,
      ),
    fillFrom: (keys) => putAll(keys, 'x'),
    isWatched: () => agent.calls.some(({ method }) => method === 'kv.watch'),
    programs: new Map(),
    isWithoutQuorum: false,
    doctorFindings: [{ name: 'group.quorum', status: 'ok', detail: '3 voters', mend: null }],
    onStop: () => undefined,
    finish(id, ending = {}) {
      const before = getJob(id);
      const job = { ...before, state: 'succeeded' as JobState, finishedAt: NOW_MS + 2_000, ...ending };
      const outcome = job.state === 'dead' ? 'failed' : job.state;
      job.history = [...before.history, { attempt: job.attempt, node: job.node, outcome, error: job.error }];
      agent.jobs.set(id, job);
      for (const wake of waiters.get(id) ?? []) wake();
      waiters.delete(id);
    },
    handlers: undefined as unknown as Handlers,
  };

  const getJob = (id: string): Job => {
    const job = agent.jobs.get(id);
    if (job === undefined) throw new AspenError('NOT_FOUND', `no job "${id}"`);
    return job;
  };
  const whenFinal = async (id: string): Promise<Job> => {
    while (!FINAL.includes(getJob(id).state)) {
      await new Promise<void>((resolve) => waiters.set(id, [...(waiters.get(id) ?? []), resolve]));
    }
    return getJob(id);
  };
  const writes = () => {
    if (agent.isWithoutQuorum) throw new AspenError('NO_QUORUM', 'the group has no quorum');
  };
  const programOf = (job: Job): FakeProgram | undefined =>
    agent.programs.get(String((job.spec['payload'] as { command?: unknown } | undefined)?.command));

  const submit = (spec: Readonly<Record<string, unknown>> & { readonly requestId?: string | undefined }) => {
    writes();
    const repeated = spec.requestId === undefined ? undefined : requests.get(spec.requestId);
    if (repeated !== undefined) return repeated as { id: string; durability: 'mesh'; duplicate: boolean };
    sequence += 1;
    const { requestId, ...kept } = spec;
    const id = (spec['id'] as string | undefined) ?? `job_${String(sequence).padStart(26, '0')}`;
    const submitted: Job = {
      id,
      spec: kept,
      state: 'running',
      attempt: 1,
      node: PEER_ID,
      fencingToken: sequence,
      submittedAt: NOW_MS,
      startedAt: NOW_MS + 1_000,
      finishedAt: null,
      result: null,
      error: null,
      history: [{ at: NOW_MS, event: 'submitted' }],
    };
    const program = programOf(submitted);
    const job = program?.again === undefined ? submitted : { ...submitted, attempt: 2 };
    agent.jobs.set(id, job);
    if (program?.runsUntilTold !== true) {
      const result = program?.result ?? (spec['type'] === 'echo' ? spec['payload'] : null);
      agent.finish(id, { result, state: program?.state ?? 'succeeded', error: program?.error ?? null });
    }
    const answer = { id, durability: 'mesh' as const, duplicate: false };
    if (requestId !== undefined) requests.set(requestId, answer);
    return answer;
  };

  const stream = async (id: string, subscription: string, follow: boolean, connection: Connection) => {
    const program = programOf(getJob(id));
    const print = (output: FakeProgram['output'], from: number) => {
      let offset = from;
      for (const [name, data] of output ?? []) {
        connection.notify('job.log', { subscription, stream: name, offset, data });
        offset += Buffer.byteLength(data);
      }
    };
    print(program?.output, program?.lostBytes ?? 0);
    print(program?.again, spanStart(2));
    if (program?.streamBreaks === true) {
      connection.notify('job.logEnd', { subscription, reason: 'the node was lost' });
      return;
    }
    if (follow) await whenFinal(id);
    connection.notify('job.logEnd', { subscription });
  };

  const kv = kvHandlers(daemon);
  const handlers: Handlers = {
    ...blobHandlers(daemon),
    ...leaseHandlers(daemon),
    ...lockHandlers(daemon),
    ...electionHandlers(daemon),
    ...counterHandlers(() => daemon.node.group.client),
    ...queueHandlers(() => daemon.node.group.client),
    ...hookHandlers(daemon),
    ...jobWatchHandlers(daemon),
    ...dlqHandlers(() => daemon.node.group.client),
    ...serviceHandlers(daemon),
    ...kv,
    'agent.status': async () => ({
      peerId: PEER_ID,
      name: 'fake',
      meshId: 'mesh_1',
      version: '0.1.0',
      uptimeMs: 61_000,
      group: {
        role: 'voter',
        leader: PEER_ID,
        term: 2,
        commitIndex: 10,
        appliedIndex: 10,
        voters: [PEER_ID, OTHER_ID],
        hasQuorum: !agent.isWithoutQuorum,
      },
      peers: 1,
      connectivity: { isPublic: false },
    }),
    'audit.tail': async () => ({
      records: [{ seq: 1, at: '2026-01-01T00:00:00.000Z', kind: 'agent.start' }],
    }),
    'audit.verify': async () => ({
      ok: true,
      lineCount: 1,
      fileCount: 1,
      lastSeq: 1,
      lastHash: 'f'.repeat(64),
      break: null,
    }),
    'secret.recipients': async () => ({ self: PEER_ID, recipients: [] }),
    'secret.set': async ({ name }) => fakeSecret(name),
    'secret.list': async () => ({ secrets: [fakeSecret('db')] }),
    'secret.get': async ({ name }) => fakeSecret(name),
    'secret.opening': async ({ name }) => ({ name, id: '0'.repeat(32), box: 'AAAA', wrap: 'AAAA' }),
    'secret.grant': async ({ name }) => fakeSecret(name),
    'secret.revoke': async ({ name }) => fakeSecret(name),
    'secret.delete': async () => ({ deleted: true }),
    'backup.begin': async () => ({ id: 'bak_1', header: FAKE_BACKUP }),
    'backup.read': async () => ({ data: null }),
    'backup.end': async () => ({ ended: true }),
    'agent.stop': async () => {
      agent.onStop();
      return { stopping: true, pid: 2 ** 22 + 1 }; // above the highest pid there can be: gone already
    },
    'agent.doctor': async () => ({
      worst: agent.doctorFindings.some(({ status }) => status === 'fail') ? 'fail' : 'ok',
      findings: [...agent.doctorFindings],
    }),
    'metrics.get': async ({ format, prefix = '' }) => {
      const families = [metric('gauge', 'aspen_raft_term', 'Term this node is in.', 7)].filter(({ name }) =>
        name.startsWith(prefix),
      );
      return format === 'text' ? { text: formatMetrics(families) } : { families };
    },
    'net.check': async () => ({
      listens: ['/ip4/10.0.0.1/tcp/4100'],
      ipv4: { hosts: ['10.0.0.1'], links: 1 },
      ipv6: { hosts: [], links: 0 },
      udp: { isSo: true, detail: 'datagrams arrived at 1 of 1 members' },
      mappingVaries: { isSo: null, detail: 'unknown: that takes two members' },
      portMapping: { isSo: null, detail: 'unknown: no router is asked for a port' },
      quic: { isSo: true, detail: 'for holes where TCP gets nothing through' },
      seenAs: [{ host: '198.51.100.7', isPublic: true, members: 1 }],
      reachability: 'unknown',
      isRelay: false,
      relays: [{ peerId: OTHER_ID, name: 'other', path: 'direct', rttMs: 3 }],
      proxies: [{ variable: 'HTTPS_PROXY', value: 'http://***@proxy:3128' }],
      proxy: {
        url: 'http://proxy:3128',
        from: 'HTTPS_PROXY',
        letsThrough: { isSo: true, detail: 'to relay.example.org:443' },
      },
      multicastProblem: null,
      observers: [
        { peerId: OTHER_ID, name: 'other', path: 'direct', rttMs: 3, saw: '/ip4/198.51.100.7/tcp/9' },
      ],
    }),
    'config.show': async () => ({
      config: [
        { key: 'name', value: 'fake', origin: 'flag' },
        { key: 'slots', value: 16, origin: 'default' },
      ],
    }),
    'mesh.ticket': async ({ uses }) => {
      writes();
      return { ticket: `aspen1fake${uses ?? 1}`, id: 'tkt_1', expiresAt: NOW_MS };
    },
    'mesh.tickets': async () => ({
      tickets: ['tkt_1a', 'tkt_2b'].map((id) => ({ id, role: 'voter' as const, uses: 1, expiresAt: NOW_MS })),
    }),
    'mesh.ticketInspect': async ({ ticket }) => {
      if (!ticket.startsWith('aspen1')) throw new AspenError('INVALID_PARAMS', 'not a ticket');
      return {
        id: 'tkt_1',
        meshId: 'mesh_1',
        role: 'voter',
        uses: 1,
        expiresAt: NOW_MS,
        members: [{ peerId: PEER_ID, addresses: ['/ip4/127.0.0.1/tcp/1'] }],
      };
    },
    'mesh.ticketRevoke': async ({ id }) => ({ id, revoked: true }),
    'mesh.peers': async () => ({
      peers: [
        {
          peerId: OTHER_ID,
          name: 'other',
          role: 'voter',
          path: 'direct',
          rttMs: 0.42,
          address: '/ip4/10.0.0.2/tcp/1',
          carrier: 'tcp',
          since: NOW_MS,
          bytesIn: 3_000,
          bytesOut: 12,
          isAlive: true,
          estimatedRttMs: null,
          why: null,
        },
        {
          peerId: `12D3KooW${'C'.repeat(44)}`,
          name: 'far',
          role: 'worker',
          path: null,
          rttMs: null,
          address: null,
          isAlive: true,
          estimatedRttMs: 12.5,
          why: 'it lives, heard through others',
        },
      ],
    }),
    'mesh.matrix': async () => ({
      nodes: NODES.map(({ peerId, name }, at) => ({
        peerId,
        name,
        isAlive: true,
        toldAt: at === 0 ? NOW_MS : null,
        linkCount: at === 0 ? 1 : null,
      })),
      links: [{ from: PEER_ID, to: OTHER_ID, path: 'relay', rttMs: 2, isMutual: false }],
    }),
    'mesh.join': async ({ ticket }) => {
      if (ticket.includes('expired')) throw new AspenError('DENIED', 'the ticket expired');
      return { meshId: 'mesh_1', peerId: PEER_ID, alreadyMember: true };
    },
    'mesh.leave': async () => ({ meshId: 'mesh_1', left: true }),
    'job.submit': async (spec) => submit(spec),
    'job.submitMany': async ({ jobs }) => ({
      results: jobs.map((spec) => submit(spec as Record<string, unknown>)),
    }),
    'job.get': async ({ id }) => getJob(id),
    'job.list': async ({ limit = 100, cursor, type, state }) => {
      const newest = [...agent.jobs.values()].reverse();
      const fitting = newest.filter(
        (job) =>
          (type === undefined || job.spec['type'] === type) && (state === undefined || job.state === state),
      );
      const from = Number(cursor ?? 0);
      const isMore = fitting.length > from + limit;
      return { jobs: fitting.slice(from, from + limit), ...(isMore ? { cursor: String(from + limit) } : {}) };
    },
    'job.wait': async ({ id, timeoutMs }) => {
      if (timeoutMs === 1)
        throw new AspenError('DEADLINE_EXCEEDED', 'not final after 1 ms', { outcome: 'not-applied' });
      return await whenFinal(id);
    },
    'job.cancel': async ({ id, reason }) => {
      if (FINAL.includes(getJob(id).state))
        throw new AspenError('CONFLICT', `${id} is final`, { details: { current: getJob(id).state } });
      agent.finish(id, {
        state: 'cancelled',
        error: { code: 'CANCELLED', message: reason ?? 'cancelled', retryable: false },
      });
      return getJob(id);
    },
    'job.retry': async ({ id }) => {
      const job = { ...getJob(id), state: 'queued' as const };
      agent.jobs.set(id, job);
      return job;
    },
    'job.pause': async ({ id }) => {
      const job = { ...getJob(id), state: 'paused' as const };
      agent.jobs.set(id, job);
      return job;
    },
    'job.resume': async ({ id }) => {
      const job = { ...getJob(id), state: 'queued' as const };
      agent.jobs.set(id, job);
      return job;
    },
    'job.explain': async ({ id }) => ({
      state: getJob(id).state,
      waitingFor: 'a node that runs "paint"',
      nodes: [{ peerId: PEER_ID, fits: false, reasons: ['does not run jobs of type "paint"'] }],
    }),
    'job.logs': async ({ id, follow = false }, connection) => {
      getJob(id);
      sequence += 1;
      const subscription = `sub_${sequence}`;
      void stream(id, subscription, follow, connection);
      return { subscription };
    },
    'job.logsStop': async () => ({ stopped: true }),
    'job.progress': async () => null,
    'kv.put': async (params, connection) => {
      writes();
      return kv['kv.put'](params, connection);
    },
    'kv.delete': async (params, connection) => {
      writes();
      return kv['kv.delete'](params, connection);
    },
    'kv.cas': async (params, connection) => {
      writes();
      return kv['kv.cas'](params, connection);
    },
    'worker.attach': async () => ({ workerId: 'wrk_1' }),
    'worker.detach': async ({ workerId }) => ({ workerId, running: 0 }),
    'worker.heartbeat': async () => ({ lost: [] }),
    'worker.progress': async () => ({}),
    'worker.log': async () => ({}),
    'node.list': async () => ({ nodes: NODES }),
    'node.drain': async ({ peerId = PEER_ID }) => ({ peerId, isDraining: true }),
    'node.undrain': async ({ peerId = PEER_ID }) => ({ peerId, isDraining: false }),
    'node.label': async ({ peerId = PEER_ID, labels = {} }) => ({ peerId, labels }),
    'node.revoke': async ({ peerId }) => ({ peerId, revoked: true }),
    'group.status': async () => ({
      leader: PEER_ID,
      hasQuorum: true,
      term: 3,
      epoch: 1,
      lastIndex: 12,
      commitIndex: 12,
      diskCount: 2,
      members: [
        {
          peerId: PEER_ID,
          name: 'fake',
          role: 'voter' as const,
          isLeader: true,
          reason: 'leads the group',
          matchIndex: 12,
          lag: 0,
          lastContactMs: 0,
        },
      ],
      health: [{ level: 'warning' as const, text: 'one voter only', mend: 'aspen-agent ticket create' }],
    }),
    'group.recover': async ({ dryRun = false, on = PEER_ID }) => ({
      isDone: !dryRun,
      on,
      epoch: 2,
      survivors: [
        { peerId: on, name: 'fake', role: 'voter' as const, epoch: 1, term: 3, lastIndex: 12, isBest: true },
      ],
      missing: [OTHER_ID],
      mayBeLost: ['what only the other held'],
    }),
    'group.transfer': async ({ to = OTHER_ID }) => ({ from: PEER_ID, leader: to }),
  };
  return Object.assign(agent, { handlers: recorded(handlers, agent.calls) });
}

function recorded(handlers: Handlers, calls: FakeAgent['calls']): Handlers {
  return Object.fromEntries(
    Object.entries(handlers).map(([method, handler]) => [
      method,
      async (params: unknown, connection: Connection) => {
        calls.push({ method, params });
        return await (handler as (params: unknown, connection: Connection) => Promise<unknown>)(
          params,
          connection,
        );
      },
    ]),
  ) as unknown as Handlers;
}

function fakeSecret(name: string) {
  const grants = [{ peerId: PEER_ID, sealingKey: `${'A'.repeat(43)}=` }];
  return { name, id: '0'.repeat(32), version: 1, createdAt: 0, setAt: 0, grants, exposedTo: [] };
}
