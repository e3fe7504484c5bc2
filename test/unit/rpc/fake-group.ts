import type { Daemon } from '../../../src/agent/daemon.ts';
import type { LogIndex, Term } from '../../../src/base/index.ts';
import {
  AspenError,
  fromWireError,
  IdSequence,
  type PeerId,
  SeededRandom,
  silentLogger,
} from '../../../src/base/index.ts';
import { OsClock } from '../../../src/base/os-clock.ts';
import { OsCrypto } from '../../../src/base/os-crypto.ts';
import { BlobStore, Blobs, MemoryBlobDisk } from '../../../src/blobs/index.ts';
import { ClaimKeeper } from '../../../src/lease/claim-keeper.ts';
import { expire, LEASES } from '../../../src/lease/expirer.ts';
import {
  type GroupClient,
  type GroupStatus,
  KvFeed,
  KvWatcher,
  LabelledReads,
  type LeaderRequest,
  type Leadership,
} from '../../../src/lease/index.ts';
import { encodeBatch, type Fact, Machine, type MachineModule } from '../../../src/lease/machine/index.ts';
import type { Messenger } from '../../../src/mesh/index.ts';
import { MemoryStore, WriteBuffer } from '../../../src/storage/index.ts';
import { command } from '../lease/machine/support.ts';

/** A group of one process that agrees with itself: the real machine, with nothing between caller and `apply`. */
export function createFakeGroup(self: PeerId, modules: readonly MachineModule[]) {
  const clock = new OsClock();
  const startedMs = clock.monotonicMs();
  const machine = new Machine({ store: new WriteBuffer(new MemoryStore()), space: 't0/', modules });
  const handlers = new Map<string, (request: LeaderRequest) => unknown>();
  const listeners = new Set<(facts: readonly Fact[]) => void>();
  const groupMs = () => Math.floor(clock.monotonicMs() - startedMs);

  const propose = async <R>({ module, kind, body, requestId }: Parameters<GroupClient['propose']>[0]) => {
    const spec = { module, kind, body, ...(requestId !== undefined && { requestId }) };
    const payload = encodeBatch({
      epoch: 1,
      version: 1,
      groupMs: groupMs(),
      wallMs: clock.wallMs(),
      commands: [command(spec)],
    });
    const index = (machine.appliedIndex + 1) as LogIndex;
    const { outcomes, facts } = machine.applyEntry({ term: 1 as Term, index, kind: 'command', payload });
    for (const listener of [...listeners]) listener(facts);
    const [outcome] = outcomes;
    if (outcome?.ok !== true) throw fromWireError(outcome?.error);
    return outcome.result as R;
  };

  const client: GroupClient = {
    propose,
    query: async <R>({ module, kind, body }: Parameters<GroupClient['query']>[0]) =>
      machine.query(module, kind, body) as R,
    askLeader: async <R>(method: string, body: unknown) => {
      const handler = handlers.get(method);
      if (handler === undefined) throw new AspenError('METHOD_NOT_FOUND', `the leader serves no ${method}`);
      return (await handler({ from: self, body })) as R;
    },
  };
  const leadership: Leadership = {
    term: 1 as Term,
    version: machine.version,
    signal: new AbortController().signal,
    groupMs,
    propose,
    read: (reader) => reader({ module: (name) => machine.read(name) }),
    onFacts(callback) {
      listeners.add(callback);
      return { [Symbol.dispose]: () => void listeners.delete(callback) };
    },
    onProposed: () => ({ [Symbol.dispose]: () => undefined }),
    confirm: async () => undefined,
    serve(method, handler) {
      handlers.set(method, handler);
      return { [Symbol.dispose]: () => void handlers.delete(method) };
    },
  };
  const source = {
    read: (module: string) => machine.read(module),
    onFacts(callback: (facts: readonly Fact[]) => void) {
      listeners.add(callback);
      return { [Symbol.dispose]: () => void listeners.delete(callback) };
    },
  };
  const status = () => ({ role: 'voter' as const, leader: self }) as GroupStatus;
  const messenger = { connected: () => [] } as unknown as Messenger;
  const parts = { client, clock, messenger, random: new SeededRandom(1), status };
  const kvWatcher = new KvWatcher({ ...parts, feed: new KvFeed(source, clock) }, 'main');
  const replica = {
    query: (module: string, kind: string, body: unknown) => machine.query(module, kind, body),
    ageMs: () => 0,
    get appliedIndex() {
      return machine.appliedIndex;
    },
    isMember: true,
  };
  const reads = new LabelledReads({ ...parts, replica }, 'main');
  return { client, leadership, clock, kvWatcher, reads };
}

/** Blobs of a node that nobody is linked to. */
function fakeBlobs(self: PeerId, clock: OsClock): Blobs {
  const random = new SeededRandom(3);
  const parts = { clock, random, crypto: new OsCrypto(), log: silentLogger };
  const nothing = { [Symbol.dispose]: () => undefined };
  const messenger = { connected: () => [], onPeer: () => nothing, handle: () => nothing };
  return new Blobs(
    {
      ...parts,
      self,
      messenger: messenger as unknown as Messenger,
      store: new BlobStore({ ...parts, disk: new MemoryBlobDisk() }, { quotaBytes: 8 * 2 ** 20 }),
      onFailure: (error) => {
        throw error;
      },
    },
    { fetch: { patienceMs: 0 } },
  );
}

/** As much of a daemon as the handlers of agreed state need. What a leader does runs from the first call until it is disposed. */
export function createFakeDaemon(
  self: PeerId,
  modules: readonly MachineModule[],
): { readonly daemon: Daemon } & Disposable {
  const { client, leadership, clock, kvWatcher, reads } = createFakeGroup(self, modules);
  const parts = { clock, log: silentLogger };
  let leading: readonly Disposable[] | undefined;
  const crypto = new OsCrypto();
  const platform = { clock, crypto, random: new SeededRandom(clock.wallMs()), logger: silentLogger };
  const sealingKey = Buffer.from(crypto.sealingPublicKey(new Uint8Array(32).fill(1))).toString('base64');
  const node = {
    self,
    gate: { members: () => [{ peerId: self, role: 'voter' }] },
    registry: { node: () => ({ profile: { sealingKey } }) },
    members: { agreed: async () => new Set([self]) },
    blobs: fakeBlobs(self, clock),
    get group() {
      leading ??= [new ClaimKeeper(leadership, parts), expire(LEASES, leadership, parts)];
      return { client, kvWatcher, reads };
    },
  };
  return {
    daemon: { clock, platform, node, jobIds: new IdSequence('job', platform) } as unknown as Daemon,
    [Symbol.dispose]() {
      for (const part of leading ?? []) part[Symbol.dispose]();
    },
  };
}
