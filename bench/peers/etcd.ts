import { setTimeout as pause } from 'node:timers/promises';
import { debianProgram, NoPeer, npmPackages } from './install.ts';
import { freePorts, PeerFolder, PeerServer } from './server.ts';

/** The part of etcd's client that is measured. */
export interface EtcdClient {
  put(key: string, value: string): Promise<void>;
  /** @returns whether it was swapped. */
  cas(key: string, expected: string, value: string): Promise<boolean>;
  get(key: string): Promise<string | null>;
}

interface Etcd3 {
  put(key: string): { value(value: string): { exec(): Promise<unknown> } };
  get(key: string): { string(): Promise<string | null> };
  if(
    key: string,
    column: 'Value',
    comparison: '==',
    value: string,
  ): {
    then(...operations: unknown[]): { commit(): Promise<{ succeeded: boolean }> };
  };
  close(): void;
}

const LEADER_LIMIT_MS = 15_000;

/**
 * Starts so many members of etcd on loopback, with its defaults, which sync each batch of its log before it answers, and hands over a
 * client of the first. @throws NoPeer
 */
export async function withEtcd<T>(memberCount: 1 | 3, use: (client: EtcdClient) => Promise<T>): Promise<T> {
  const program = debianProgram('etcd-server', ['/usr/bin/etcd']);
  const { Etcd3 } = npmPackages({ etcd3: '1.1.2' })('etcd3') as {
    Etcd3: new (options: { hosts: string[] }) => Etcd3;
  };
  using folder = new PeerFolder();
  const ports = await freePorts(memberCount * 2);
  const members = Array.from({ length: memberCount }, (_, at) => ({
    name: `m${at + 1}`,
    client: ports[at * 2] as number,
    peer: ports[at * 2 + 1] as number,
  }));
  const cluster = members.map(({ name, peer }) => `${name}=http://127.0.0.1:${peer}`).join(',');
  await using servers = new AsyncDisposableStack();
  for (const { name, client, peer } of members) {
    servers.use(
      new PeerServer(program, [
        ...['--name', name, '--data-dir', `${folder.path}/${name}`, '--log-level', 'error'],
        ...['--listen-client-urls', `http://127.0.0.1:${client}`],
        ...['--advertise-client-urls', `http://127.0.0.1:${client}`],
        ...['--listen-peer-urls', `http://127.0.0.1:${peer}`],
        ...['--initial-advertise-peer-urls', `http://127.0.0.1:${peer}`],
        ...['--initial-cluster', cluster, '--initial-cluster-state', 'new'],
      ]),
    );
  }
  const etcd = new Etcd3({ hosts: [`http://127.0.0.1:${members[0]?.client}`] });
  try {
    await whenReady(etcd);
    return await use(clientOf(etcd));
  } finally {
    etcd.close();
  }
}

function clientOf(etcd: Etcd3): EtcdClient {
  return {
    put: async (key, value) => {
      await etcd.put(key).value(value).exec();
    },
    cas: async (key, expected, value) => {
      const { succeeded } = await etcd
        .if(key, 'Value', '==', expected)
        .then(etcd.put(key).value(value))
        .commit();
      return succeeded;
    },
    get: (key) => etcd.get(key).string(),
  };
}

async function whenReady(etcd: Etcd3): Promise<void> {
  const endMs = performance.now() + LEADER_LIMIT_MS;
  for (;;) {
    try {
      await etcd.put('bench/ready').value('yes').exec();
      return;
    } catch (error) {
      if (performance.now() > endMs) throw new NoPeer(`etcd takes no writes: ${String(error)}`);
      await pause(200);
    }
  }
}
