import { spawn, spawnSync } from 'node:child_process';
import { chownSync, mkdirSync, readdirSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { debianProgram, NoPeer, npmPackages } from './install.ts';
import type { QueuePeer } from './queue-peer.ts';
import { freePorts, PeerFolder, PeerServer } from './server.ts';

export const GRAPHILE_VERSIONS = { 'graphile-worker': '0.18.0', pg: '8.16.3' };
export const TASK = 'no_op';
const START_LIMIT_MS = 20_000;
const STARTING_UP = '57P03';
const WORKER = fileURLToPath(new URL('./graphile-worker.ts', import.meta.url));

interface Utils {
  migrate(): Promise<void>;
  addJob(task: string, payload: unknown): Promise<unknown>;
  addJobs(jobs: readonly { readonly identifier: string; readonly payload: unknown }[]): Promise<unknown>;
  withPgClient<R>(
    use: (client: { query(sql: string): Promise<{ rows: { count: string }[] }> }) => Promise<R>,
  ): Promise<R>;
  release(): Promise<void>;
}

interface Pool {
  on(event: 'error', listener: (error: Error) => void): void;
  end(): Promise<void>;
}

/** graphile-worker on a PostgreSQL of its own on loopback, with its local queue on: the fastest way it can be run. @throws NoPeer */
export async function withGraphile<T>(use: (peer: QueuePeer) => Promise<T>): Promise<T> {
  const packages = npmPackages(GRAPHILE_VERSIONS);
  const { makeWorkerUtils } = packages('graphile-worker') as {
    makeWorkerUtils(options: object): Promise<Utils>;
  };
  const { Pool } = packages('pg') as { Pool: new (options: object) => Pool };
  using folder = new PeerFolder();
  const [port = 0] = await freePorts(1);
  const bin = postgresFolder();
  const user = systemUser();
  const data = `${folder.path}/data`;
  mkdirSync(data);
  if (user !== undefined) for (const path of [folder.path, data]) chownSync(path, user.uid, user.gid);
  initialise(`${bin}/initdb`, data, user);
  await using server = new PeerServer(
    `${bin}/postgres`,
    [
      ...['-D', data, '-p', String(port), '-k', folder.path, '-c', 'listen_addresses=127.0.0.1'],
      ...['-c', 'shared_buffers=512MB', '-c', 'max_wal_size=4GB', '-c', 'synchronous_commit=on'],
    ],
    { ...user },
  );
  await server.answersOn(port);
  const url = `postgres://bench@127.0.0.1:${port}/postgres`;
  const pool = new Pool({ connectionString: url, max: 20 });
  pool.on('error', (error) => console.error(`idle connection to PostgreSQL: ${error.message}`)); // it ends while some are idle
  const utils = await whenStarted(() => makeWorkerUtils({ pgPool: pool }));
  try {
    await utils.migrate();
    await using worker = await startWorker(url);
    void worker;
    return await use(peerOf(utils));
  } finally {
    await utils.release();
    await pool.end();
  }
}

/** PostgreSQL takes connections a moment before it takes queries. */
async function whenStarted<T>(query: () => Promise<T>): Promise<T> {
  for (const endMs = performance.now() + START_LIMIT_MS; ; await pause(100)) {
    try {
      return await query();
    } catch (error) {
      if ((error as { readonly code?: string }).code !== STARTING_UP || performance.now() > endMs)
        throw error;
    }
  }
}

function peerOf(utils: Utils): QueuePeer {
  return {
    submit: async () => {
      await utils.addJob(TASK, {});
    },
    submitMany: async (count) => {
      await utils.addJobs(Array.from({ length: count }, () => ({ identifier: TASK, payload: {} })));
    },
    unfinishedCount: () =>
      utils.withPgClient(async (client) => {
        const { rows } = await client.query('select count(*) from graphile_worker._private_jobs');
        return Number(rows[0]?.count);
      }),
  };
}

function postgresFolder(): string {
  debianProgram('postgresql', ['/usr/bin/pg_lsclusters']);
  const [version] = readdirSync('/usr/lib/postgresql').sort().reverse();
  if (version === undefined) throw new NoPeer("needs Debian's postgresql");
  return `/usr/lib/postgresql/${version}/bin`;
}

/** PostgreSQL refuses to run as root. */
function systemUser(): { readonly uid: number; readonly gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const idOf = (flag: string) => Number(spawnSync('id', [flag, 'postgres'], { encoding: 'utf8' }).stdout);
  return { uid: idOf('-u'), gid: idOf('-g') };
}

function initialise(program: string, data: string, user: object | undefined): void {
  const args = ['-D', data, '-U', 'bench', '--auth=trust', '-E', 'UTF8'];
  const { status, stderr } = spawnSync(program, args, { encoding: 'utf8', ...user });
  if (status !== 0) throw new NoPeer(`initdb failed: ${stderr}`);
}

async function startWorker(url: string): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, [WORKER, url], { stdio: ['ignore', 'pipe', 'inherit'] });
  const isReady = await new Promise<boolean>((resolve) => {
    child.stdout.on('data', (bytes: Buffer) => bytes.toString().includes('ready') && resolve(true));
    child.once('exit', () => resolve(false));
  });
  if (!isReady) throw new NoPeer('the worker of graphile-worker does not start');
  return {
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}
