import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import { type Agent, Cluster } from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';

const BLOB_BYTES = 2 ** 30;
const PIECE_BYTES = 2 ** 20;
const SAMPLE_MS = 100;
const TIMEOUT_MS = 10 * 60_000;

interface Copy {
  readonly MBps: number;
  /** Anonymous memory beyond that before, at most. */
  readonly getterMB: number;
  readonly holderMB: number;
  /** Processor time. */
  readonly getterSeconds: number;
  readonly holderSeconds: number;
}

interface Run {
  readonly tcpMBps: number;
  readonly addMBps: number;
  readonly one: Copy;
  readonly three: Copy;
}

export const blobs: Bench = {
  name: 'blobs',
  method:
    'A file of 1 GiB of random bytes. Raw: one process reads it and writes it to a TCP socket on loopback, another writes what comes to a file and syncs it. ' +
    'Blobs: blob add on the command line; then blob.fetch on an agent that has nothing of it, from one holder and from three: encrypted, hashed on both sides, synced. ' +
    'Memory: anonymous memory of the agents beyond that before the copy, the most of samples every 100 ms. All on the cores of this one machine.',
  async run({ runCount }): Promise<readonly Figure[]> {
    const runs = await repeat(runCount, () => measure());
    const pick = (value: (run: Run) => number) => runs.map(value);
    return [
      figure(
        'raw TCP, file to file',
        'MB/s',
        pick(({ tcpMBps }) => tcpMBps),
      ),
      figure(
        'blob add through the socket',
        'MB/s',
        pick(({ addMBps }) => addMBps),
      ),
      figure(
        'fetch from one holder',
        'MB/s',
        pick(({ one }) => one.MBps),
      ),
      figure(
        'fetch from three holders',
        'MB/s',
        pick(({ three }) => three.MBps),
      ),
      figure(
        'processor time of the getter, one holder',
        's',
        pick(({ one }) => one.getterSeconds),
      ),
      figure(
        'processor time of the holder, one holder',
        's',
        pick(({ one }) => one.holderSeconds),
      ),
      figure(
        'memory of the getter, one holder',
        'MB',
        pick(({ one }) => one.getterMB),
      ),
      figure(
        'memory of the holder, one holder',
        'MB',
        pick(({ one }) => one.holderMB),
      ),
      figure(
        'memory of the getter, three holders',
        'MB',
        pick(({ three }) => three.getterMB),
      ),
      figure(
        'memory of each holder at most, three holders',
        'MB',
        pick(({ three }) => three.holderMB),
      ),
    ];
  },
};

async function measure(): Promise<Run> {
  await using cluster = new Cluster();
  const env = { ASPEN_LOG_LEVEL: 'warn' };
  const [a, b, c, getter] = (await cluster.mesh(['a', 'b', 'c', 'd'], { env })) as [
    Agent,
    Agent,
    Agent,
    Agent,
  ];
  const path = join(cluster.directory, 'file');
  await writeRandom(path);
  const tcpMBps = await copyByTcp(path, `${path}.tcp`);
  const startedMs = performance.now();
  const id = await add(a, path);
  const addMBps = rate(startedMs);
  const one = await fetch(getter, id, [a]);
  await writeRandom(path);
  const again = await add(a, path);
  for (const agent of [b, c]) await add(agent, path);
  const three = await fetch(getter, again, [a, b, c]);
  return { tcpMBps, addMBps, one, three };
}

async function add(agent: Agent, path: string): Promise<string> {
  const { code, stdout, stderr } = await agent.cli(['blob', 'add', path, '-o', 'id'], {
    timeoutMs: TIMEOUT_MS,
  });
  if (code !== 0) throw new Error(`blob add ended with ${code}: ${stderr}`);
  return stdout.trim();
}

async function fetch(getter: Agent, id: string, holders: readonly Agent[]): Promise<Copy> {
  const watched = [getter, ...holders].map((agent) => ({
    agent,
    beforeMB: anonymousMB(agent.pid),
    beforeSeconds: cpuSeconds(agent.pid),
    mostMB: 0,
  }));
  const sampling = setInterval(() => {
    for (const one of watched) one.mostMB = Math.max(one.mostMB, anonymousMB(one.agent.pid) - one.beforeMB);
  }, SAMPLE_MS);
  const startedMs = performance.now();
  try {
    await getter.call('blob.fetch', { id }, TIMEOUT_MS);
  } finally {
    clearInterval(sampling);
  }
  const MBps = rate(startedMs);
  const [own, ...others] = watched.map(({ agent, beforeSeconds, mostMB }) => ({
    mostMB,
    seconds: cpuSeconds(agent.pid) - beforeSeconds,
  }));
  return {
    MBps,
    getterMB: own?.mostMB ?? 0,
    holderMB: Math.max(...others.map(({ mostMB }) => mostMB)),
    getterSeconds: own?.seconds ?? 0,
    holderSeconds: Math.max(...others.map(({ seconds }) => seconds)),
  };
}

async function writeRandom(path: string): Promise<void> {
  const file = await open(path, 'w');
  const piece = new Uint8Array(PIECE_BYTES);
  for (let at = 0; at < BLOB_BYTES; at += PIECE_BYTES) {
    for (let start = 0; start < PIECE_BYTES; start += 65_536)
      crypto.getRandomValues(piece.subarray(start, start + 65_536));
    await file.write(piece);
  }
  await file.sync();
  await file.close();
}

async function copyByTcp(from: string, to: string): Promise<number> {
  const giver = spawn(process.execPath, [join(import.meta.dirname, '../tcp-copy.ts'), from], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(giver, 'exit');
  const [port] = (await once(createInterface(giver.stdout), 'line')) as [string];
  const startedMs = performance.now();
  const socket = connect({ port: Number(port), host: '127.0.0.1' });
  await pipeline(socket, createWriteStream(to, { highWaterMark: 2 ** 18, flush: true }));
  const MBps = rate(startedMs);
  await ended;
  rmSync(to);
  return MBps;
}

function rate(startedMs: number): number {
  return BLOB_BYTES / 1e6 / ((performance.now() - startedMs) / 1_000);
}

function anonymousMB(pid: number): number {
  const line = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').match(/^Anonymous:\s+(\d+) kB$/m);
  return (Number(line?.[1]) * 1_024) / 1e6;
}

/** `/proc/<pid>/stat` counts in hundredths of a second on every Linux that Node runs on. */
function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}
