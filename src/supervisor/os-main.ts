/**
 * A supervisor: holds the processes of attempts, so that they outlive the agent that began them.
 *
 *   node os-main.ts DATA_DIRECTORY ID
 *
 * Says `ready` on standard output when it listens. Ends by itself when nobody is connected and nothing is left that anybody could want, and
 * ends all it holds on SIGTERM, or when its record is gone from the directory.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import process, { argv, exit, pid, umask } from 'node:process';
import { clearSecretFiles, OsSecretOpener } from '../secrets/os-secret-opener.ts';
import { type Command, checkCommand, encodeFrame, FrameReader, PROTOCOL, type Report } from './frames.ts';
import { OsAttemptJournal } from './os-attempt-journal.ts';
import { OsBootClock, readBootId } from './os-boot-clock.ts';
import { OsCensus, readProcessStat } from './os-census.ts';
import { ConfinedRunner } from './os-confined-runner.ts';
import { OsSpool } from './os-spool.ts';
import { SupervisorFiles } from './os-supervisor-files.ts';
import { Supervision } from './supervision.ts';

const OWNER_ONLY = 0o077;
/** Time to say who one is. Unit: ms. */
const HELLO_WITHIN_MS = 3_000;
/** How long it stays with nothing to do and nobody connected. Unit: ms. */
const LINGER_MS = 10_000;
const LOOK_AROUND_MS = 1_000;
/** Sizes of outputs are told together when they are so close. Unit: ms. */
const GATHER_MS = 5;
/** An agent that reads nothing is told sizes later. Unit: bytes. */
const UNSENT_MOST_BYTES = 1024 * 1024;
/** From SIGTERM to SIGKILL for all it holds when it is told to end itself. Unit: ms. */
const ENDING_GRACE_MS = 2_000;

const [dataDirectory = '', id = ''] = argv.slice(2);
/** Files of jobs are as open as those of whoever started the agent; its own are not. */
const jobUmask = umask(OWNER_ONLY);
const files = new SupervisorFiles(dataDirectory);
const secret = randomBytes(16).toString('hex');
const nonce = randomBytes(16).toString('hex');
let markCount = 0;

const owner = ownerNameOf(pid);
clearSecretFiles(isOwnerAlive);

const runner = new ConfinedRunner(dataDirectory, { umask: jobUmask });
const supervision = new Supervision({
  secrets: new OsSecretOpener({ dataDirectory, owner }),
  runner,
  spool: new OsSpool(files.outputs),
  census: new OsCensus(),
  clock: new OsBootClock(),
  journal: new OsAttemptJournal(files.journalPath(id)),
  drawMark: () => `${nonce}-${++markCount}`,
});

/** The one agent that is listened to. */
let agent: Socket | null = null;
let isRetired = false;
let idleSinceMs = performance.now();
let outgoing: Buffer[] = [];
const grown = new Map<string, number>();
let isGathering = false;

supervision.listen({
  started: () => undefined,
  output: ({ order, outputBytes }) => {
    grown.set(order.name, outputBytes);
    if (!isGathering) setTimeout(tellGrowth, GATHER_MS);
    isGathering = true;
  },
  ended: ({ order, outputBytes, end }) => {
    grown.delete(order.name);
    if (end !== null) tell({ type: 'ended', name: order.name, outputBytes, end });
  },
});

const server = createServer(welcome);
server.listen(files.socketPath(id), () => {
  files.writeRecord({
    id,
    protocol: PROTOCOL,
    secret,
    nonce,
    pid,
    startTicks: readProcessStat(pid)?.startTicks ?? 0,
    bootId: readBootId(),
    directoryInode: files.inode,
  });
  process.stdout.on('error', () => undefined); // whoever began it may be gone; nothing more is said there
  process.stdout.write('ready\n');
});
process.on('SIGHUP', () => undefined); // a terminal that closes is none of its business
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => void endAll());
setInterval(lookAround, LOOK_AROUND_MS);

function welcome(socket: Socket): void {
  const reader = new FrameReader();
  const impatience = setTimeout(() => socket.destroy(), HELLO_WITHIN_MS);
  socket.on('error', () => socket.destroy());
  socket.on('close', () => {
    clearTimeout(impatience);
    if (agent === socket) agent = null;
  });
  socket.on('data', (bytes: Buffer) => {
    try {
      for (const value of reader.push(bytes)) {
        const command = checkCommand(value);
        if (agent === socket) obey(command);
        else if (isFromOwner(command)) adopt(socket, impatience);
        else socket.destroy();
      }
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      process.stderr.write(`malformed: ${error.message}\n`);
      socket.destroy();
    }
  });
}

function isFromOwner(command: Command): boolean {
  if (command.type !== 'hello') return false;
  const [given, own] = [Buffer.from(command.secret), Buffer.from(secret)];
  return given.length === own.length && timingSafeEqual(given, own);
}

/** A later agent takes over from an earlier one: the directory is held by one at a time. */
function adopt(socket: Socket, impatience: NodeJS.Timeout): void {
  clearTimeout(impatience);
  agent?.destroy();
  agent = socket;
  outgoing = [];
  grown.clear();
  tell({
    type: 'welcome',
    protocol: PROTOCOL,
    attempts: supervision.all().map((attempt) => ({
      name: attempt.order.name,
      note: attempt.order.note,
      outputKey: attempt.order.outputKey,
      holdUntilBootMs: attempt.holdUntilBootMs,
      startedBootMs: attempt.startedBootMs,
      timeoutMs: attempt.order.timeoutMs,
      outputBytes: attempt.outputBytes,
      end: attempt.end,
    })),
  });
}

function obey(command: Command): void {
  switch (command.type) {
    case 'begin':
      supervision.begin(command.order);
      break;
    case 'confine':
      runner.confine(command.policy, command.layers);
      break;
    case 'renew':
      for (const [name, untilBootMs] of command.holds) supervision.renew(name, untilBootMs);
      break;
    case 'stop':
      supervision.stop(command.name, command.graceMs);
      break;
    case 'forget':
      for (const name of command.names) supervision.forget(name);
      break;
    case 'retire':
      isRetired = true;
      if (command.graceMs !== null) void supervision.stopAll(command.graceMs).then(lookAround);
      break;
    case 'hello':
      break;
  }
}

/** What is told in one turn travels in one write. */
function tell(report: Report): void {
  if (agent === null) return;
  if (outgoing.length === 0) setImmediate(flush);
  outgoing.push(encodeFrame(report));
}

function flush(): void {
  const gathered = outgoing;
  outgoing = [];
  if (gathered.length > 0)
    agent?.write(gathered.length === 1 ? (gathered[0] as Buffer) : Buffer.concat(gathered));
}

function tellGrowth(): void {
  isGathering = false;
  if (agent === null || grown.size === 0) return;
  if (agent.writableLength > UNSENT_MOST_BYTES) {
    isGathering = true;
    setTimeout(tellGrowth, 10 * GATHER_MS);
    return;
  }
  tell({ type: 'output', sizes: [...grown] });
  grown.clear();
}

function lookAround(): void {
  if (server.listening && files.readRecord(id) === undefined) void endAll();
  const isNeeded = !supervision.isIdle || (agent !== null && !isRetired);
  if (isNeeded) idleSinceMs = performance.now();
  else if (isRetired || performance.now() - idleSinceMs > LINGER_MS) leave();
}

async function endAll(): Promise<void> {
  await supervision.stopAll(ENDING_GRACE_MS);
  leave();
}

/** Unlike that of any other process of this run of the machine. */
function ownerNameOf(processId: number): string {
  return `${processId}_${readProcessStat(processId)?.startTicks ?? 0}`;
}

function isOwnerAlive(name: string): boolean {
  return ownerNameOf(Number.parseInt(name, 10)) === name;
}

function leave(): never {
  server.close();
  files.remove(id);
  exit(0);
}
