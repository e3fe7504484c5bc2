import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { debianProgram, NoPeer, npmPackages } from './install.ts';
import type { QueuePeer } from './queue-peer.ts';
import { freePorts, PeerFolder, PeerServer } from './server.ts';

export const BULLMQ_VERSIONS = { bullmq: '6.7.0', ioredis: '5.8.2' };
const QUEUE = 'bench';
const WORKER = fileURLToPath(new URL('./bullmq-worker.ts', import.meta.url));

interface Queue {
  add(name: string, data: unknown): Promise<unknown>;
  addBulk(jobs: readonly { readonly name: string; readonly data: unknown }[]): Promise<unknown>;
  getJobCounts(...types: string[]): Promise<Readonly<Record<string, number>>>;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

/**
 * BullMQ on a Redis of its own on loopback. Finished jobs are removed at once, which is least work for it.
 * @param appendFsync when Redis syncs: `always` is before it answers, as this project does. @throws NoPeer
 */
export async function withBullmq<T>(
  appendFsync: 'always' | 'everysec',
  use: (peer: QueuePeer) => Promise<T>,
): Promise<T> {
  const program = debianProgram('redis-server', ['/usr/bin/redis-server']);
  const { Queue } = npmPackages(BULLMQ_VERSIONS)('bullmq') as {
    Queue: new (name: string, options: object) => Queue;
  };
  using folder = new PeerFolder();
  const [port = 0] = await freePorts(1);
  await using server = new PeerServer(program, [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder.path, '--save', ''],
    ...['--appendonly', 'yes', '--appendfsync', appendFsync, '--maxmemory-policy', 'noeviction'],
  ]);
  await server.answersOn(port);
  const queue = new Queue(QUEUE, {
    connection: { host: '127.0.0.1', port },
    defaultJobOptions: { removeOnComplete: true },
  });
  await queue.waitUntilReady();
  await using worker = await startWorker(port);
  void worker;
  try {
    return await use(peerOf(queue));
  } finally {
    await queue.close();
  }
}

function peerOf(queue: Queue): QueuePeer {
  return {
    submit: async () => {
      await queue.add('no-op', 0);
    },
    submitMany: async (count) => {
      await queue.addBulk(Array.from({ length: count }, () => ({ name: 'no-op', data: 0 })));
    },
    unfinishedCount: async () => {
      const counts = await queue.getJobCounts('waiting', 'active', 'delayed', 'prioritized');
      return Object.values(counts).reduce((sum, count) => sum + count, 0);
    },
  };
}

async function startWorker(port: number): Promise<AsyncDisposable> {
  const child = spawn(process.execPath, [WORKER, String(port), QUEUE], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const isReady = await new Promise<boolean>((resolve) => {
    child.stdout.once('data', () => resolve(true));
    child.once('exit', () => resolve(false));
  });
  if (!isReady) throw new NoPeer('the worker of BullMQ does not start');
  return {
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    },
  };
}
