import { createConnection, type Socket } from 'node:net';
import { parentPort, workerData } from 'node:worker_threads';
import { LONGEST_BEAT_MS, type PulseData, type PulseOrder, SHORTEST_BEAT_MS } from './pulse.ts';

// The program of the thread that `os-pulse` starts: it sends signs of life over a connection of its own, whatever the handlers do meanwhile.

const { socketPath } = workerData as PulseData;
/** Bytes that may wait for a connection that does not read. Beyond, beats are left out: the next says the same. */
const WAITING_BYTES_LIMIT = 2 ** 20;

const attempts = new Map<string, PulseOrder>();
let socket: Socket | undefined;
let timer: NodeJS.Timeout | undefined;
let periodMs = LONGEST_BEAT_MS;

parentPort?.on('message', (order: PulseOrder) => {
  const name = `${order.workerId}/${order.jobId}/${order.attempt}`;
  if (order.isOver) attempts.delete(name);
  else {
    attempts.set(name, order);
    beat();
  }
  setPeriod();
});

/** A third of the shortest silence that is allowed: two beats may be lost. */
function setPeriod(): void {
  let leastMs = LONGEST_BEAT_MS;
  for (const { heartbeatTimeoutMs } of attempts.values()) leastMs = Math.min(leastMs, heartbeatTimeoutMs / 3);
  const nextMs = Math.max(SHORTEST_BEAT_MS, Math.floor(leastMs));
  if (timer !== undefined && nextMs === periodMs && attempts.size > 0) return;
  clearInterval(timer);
  timer = undefined;
  periodMs = nextMs;
  if (attempts.size > 0) timer = setInterval(beat, periodMs);
}

function beat(): void {
  const open = connected();
  if (open.writableLength > WAITING_BYTES_LIMIT) return;
  for (const [workerId, orders] of Map.groupBy(attempts.values(), (order) => order.workerId)) {
    const named = orders.map(({ jobId, attempt, fencingToken }) => ({ jobId, attempt, fencingToken }));
    const params = { workerId, attempts: named };
    open.write(`${JSON.stringify({ jsonrpc: '2.0', method: 'worker.heartbeat', params })}\n`);
  }
}

/** What is written before it is connected is sent once it is. One that broke is replaced at the next beat. */
function connected(): Socket {
  if (socket !== undefined && !socket.destroyed) return socket;
  const fresh = createConnection(socketPath);
  fresh.on('error', () => fresh.destroy()); // the agent is away: its attempts are lost, and who attached sees that by itself
  fresh.resume();
  socket = fresh;
  return fresh;
}
