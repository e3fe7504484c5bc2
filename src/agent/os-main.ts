import { flushCompileCache } from 'node:module';
import process, { exit, pid } from 'node:process';
import { setTimeout as setTimer } from 'node:timers';
import { CannotStart, type Clock, formatMetrics, InvariantError, type Logger } from '../base/index.ts';
import { createOsLogger } from '../base/os-logger.ts';
import { CallCounts, createRpcServer } from '../rpc/index.ts';
import { OsSocketListener } from '../rpc/os-socket.ts';
import { StorageFault } from '../storage/index.ts';
import { auditedHandlers } from './audited-acts.ts';
import { Daemon } from './daemon.ts';
import { endingOf, untilEnded } from './ending.ts';
import { createHandlers } from './handlers/index.ts';
import { collectMetrics } from './handlers/metrics.ts';
import { restHeap } from './heap-rest.ts';
import { loadConfig, readRemembered } from './os-config.ts';
import { osHeap } from './os-heap.ts';
import { OsMetricsHttp } from './os-metrics-http.ts';
import { createOsPlatform } from './os-platform.ts';
import { REMEMBERED_FILE, remember } from './remembered-flags.ts';

/** What the command line decides; the same shape as it declares. */
export interface AgentRun {
  readonly dataDir: string;
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly listen?: readonly string[];
  readonly ticket?: string;
  readonly abandon?: boolean;
  readonly isMdnsEnabled?: boolean;
  readonly logLevel?: 'debug' | 'info' | 'warn' | 'error';
  readonly onReady: (ready: {
    readonly peerId: string;
    readonly name: string;
    readonly meshId: string;
    readonly socketPath: string;
    readonly addresses: readonly string[];
  }) => void;
}

/** A stop that hangs is ended after this. Unit: ms. */
const STOP_LIMIT_MS = 30_000;
const FATAL_EXIT_CODE = 70;
/** By then all that a start runs was run, and is worth keeping compiled. Unit: ms. */
const KEEP_COMPILED_MS = 2_000;
/** Ends the agent alone, e.g. to start a newer one: shell jobs go on under their supervisor until that takes them over. */
const RESTART_SIGNAL = 'SIGUSR2';

/**
 * Runs this machine's agent until it is told to stop. @returns the exit code of the process.
 * @throws AspenError when it cannot start.
 */
export async function runAgent({ dataDir, ticket, abandon, onReady, ...flags }: AgentRun): Promise<number> {
  const config = await loadConfig(dataDir, flags);
  const logger = createOsLogger({ level: config.config.logLevel });
  const platform = await createOsPlatform({ dataDir, config: config.config, logger });
  const flagsFile = remember(await readRemembered(dataDir), flags);
  if (flagsFile !== undefined) await platform.directory.writeFileAtomic(REMEMBERED_FILE, flagsFile);
  const stopped = Promise.withResolvers<{ readonly leaveRunning: boolean }>();
  const daemon = new Daemon(
    { platform, onFatal: (error) => endProcess(error, logger) },
    { config, ...(ticket !== undefined && { ticket }), ...(abandon !== undefined && { abandon }) },
  );
  const counts = new CallCounts(() => platform.clock.monotonicMs());
  const onStop = () => stopped.resolve({ leaveRunning: false });
  const handlers = auditedHandlers(createHandlers(daemon, { pid, onStop, counts }), () => daemon.audit);
  const listener = new OsSocketListener(platform.directory.socketPath);
  const server = createRpcServer(
    { listener, handlers, counts, logger: logger.child({ part: 'rpc' }) },
    { version: platform.version },
  );
  for (const signal of ['SIGTERM', 'SIGINT'] as const)
    process.on(signal, () => stopped.resolve({ leaveRunning: false }));
  process.on(RESTART_SIGNAL, () => stopped.resolve({ leaveRunning: true }));
  process.on('uncaughtException', (error) => endProcess(error, logger));
  process.on('unhandledRejection', (error) => endProcess(error, logger));
  try {
    await startOrSay(daemon);
    await server.start();
    const { metricsPort } = config.config;
    await using metrics = new OsMetricsHttp({
      text: async () => formatMetrics(await collectMetrics(daemon, counts)),
      log: logger.child({ part: 'metrics' }),
    });
    if (metricsPort > 0) await metrics.listen(metricsPort);
    const { node } = daemon;
    onReady({
      peerId: node.self,
      name: config.config.name,
      meshId: node.membership.meshId,
      socketPath: platform.directory.socketPath,
      addresses: node.mesh.transport.addresses(),
    });
    const how = await untilStopped(stopped.promise, { daemon, clock: platform.clock, logger });
    setTimer(
      () => endProcess(new Error(`the agent did not stop within ${STOP_LIMIT_MS} ms`), logger),
      STOP_LIMIT_MS,
    ).unref();
    await daemon.stop(how);
    const ending = endingOf(platform);
    await untilEnded(ending, 'clients', () => server.stop());
    await untilEnded(ending, 'supervisors', () => platform.supervisor.close(how));
    return 0;
  } finally {
    await platform.directory[Symbol.asyncDispose]();
  }
}

/** @throws CannotStart where there is no room for what an agent needs to begin. */
async function startOrSay(daemon: Daemon): Promise<void> {
  try {
    await daemon.start();
  } catch (cause) {
    if (!(cause instanceof StorageFault) || cause.kind !== 'full') throw cause;
    throw new CannotStart(`the agent cannot begin: ${cause.message}; it needs some 20 MB there`, { cause });
  }
}

/** What goes on beside the agent's work while it runs, and not while it starts or ends. */
async function untilStopped<H>(
  stopped: Promise<H>,
  { daemon, clock, logger }: { readonly daemon: Daemon; readonly clock: Clock; readonly logger: Logger },
): Promise<H> {
  const group = () => daemon.nodeOrNone?.group.status();
  using _kept = clock.setTimer(KEEP_COMPILED_MS, keepCompiledNow);
  using _rest = restHeap({
    clock,
    log: logger.child({ part: 'memory' }),
    heap: osHeap,
    workDone: () => group()?.commitIndex,
    isLeadingOthers: () => {
      const { leader, voters = [] } = group() ?? {};
      return leader === daemon.nodeOrNone?.self && voters.length > 1;
    },
  });
  return await stopped;
}

/**
 * Once for each version of the program. Left to the end of the process it would take a third of a second of it, for each of all the agents that are
 * told to stop at the same time and write the same files.
 */
function keepCompiledNow(): void {
  flushCompileCache();
}

/** Nothing may be written or said any more by a process that no longer knows what is true. */
function endProcess(error: unknown, logger: ReturnType<typeof createOsLogger>): never {
  const what =
    error instanceof InvariantError
      ? 'an invariant does not hold, the agent ends'
      : 'the agent cannot go on and ends';
  logger.error({ err: error }, what);
  exit(FATAL_EXIT_CODE);
}
