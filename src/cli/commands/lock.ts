import { constants } from 'node:os';
import type { Command } from 'commander';
import { AspenError, ERROR_KINDS, formatDuration } from '../../base/index.ts';
import { OsClock } from '../../base/os-clock.ts';
import { type CommandContext, define, type ExitSlot } from '../command.ts';
import { duration, wholeNumber } from '../flags.ts';
import { Hold, holdTimes } from '../held/hold.ts';
import { startHeldProgram } from '../held/os-held-program.ts';
import { type HeldEnd, type HeldExit, momentOf, runHeld } from '../held/run-held.ts';
import type { CliIo } from '../io.ts';
import type { Output } from '../output.ts';
import { resourceOutput, resourcesOutput } from '../resource-output.ts';

const EXIT_CONFLICT = ERROR_KINDS.CONFLICT.exitCode;
const EXIT_INTERRUPTED = 130;
const EXIT_CANNOT_START = 126;
const EXIT_NO_PROGRAM = 127;
const SIGNAL_BASE = 128;
const DEFAULT_TTL_MS = 15_000;
const SHORTEST_TTL_MS = 1_000;
/** As long as a request may wait: who gives no limit means to have the lock. */
const LONGEST_WAIT_MS = 604_800_000;
/** For the answer, beyond the time that the group was told to wait. */
const ANSWER_MARGIN_MS = 20_000;
const SAFETY =
  '\nA lock keeps others out of the lock, not out of what it stands for: a program that was stopped for a while may wake\n' +
  'up when somebody else holds it. Give ASPEN_FENCING_TOKEN to what you change, and let that refuse smaller ones.\n';

/** `lock run|acquire|renew|release|get|list`. */
export function addLockCommands(program: Command, io: CliIo, exit: ExitSlot): void {
  const lock = program.command('lock').description('locks of the mesh, first come, first served');
  define(lock, io, exit, {
    usage: 'run <name> <program...>',
    summary: 'run a program while holding a lock; it is ended before the lock can be lost',
    examples: [
      'aspen-agent lock run nightly -- ./backup.sh',
      'aspen-agent lock run nightly --wait 0s --ttl 30s -- ./backup.sh || echo "exit code $?"',
    ],
    configure: (command) => {
      command
        .option(
          '--ttl <duration>',
          'how soon others may have it when this machine is lost (default 15s)',
          duration,
        )
        .option('--wait <duration>', 'how long to queue for it; 0s takes it at once or ends with 4', duration)
        .addHelpText('after', SAFETY);
    },
    run: runLocked,
  });
  define(lock, io, exit, {
    usage: 'acquire <name>',
    summary: 'take a lock and print its lease; it ends after --ttl unless it is renewed',
    examples: ['aspen-agent lock acquire nightly --ttl 10m --wait 30s -o json'],
    configure: (command) => {
      command
        .option('--ttl <duration>', 'how long it lasts without a renewal (default 15s)', duration)
        .option('--wait <duration>', 'how long to queue for it (default 0s: at once or not)', duration)
        .addHelpText('after', SAFETY);
    },
    run: acquire,
  });
  define(lock, io, exit, {
    usage: 'renew <name> <lease>',
    summary: 'prolong the lease of a lock; exit code 4 when it is lost',
    examples: ['aspen-agent lock renew nightly lse_01k9z3...'],
    run: renew,
  });
  define(lock, io, exit, {
    usage: 'release <name> <lease>',
    summary: 'give a lock back; exit code 4 when it was lost before',
    examples: ['aspen-agent lock release nightly lse_01k9z3...'],
    run: release,
  });
  define(lock, io, exit, {
    usage: 'get <name>',
    summary: 'who holds a lock, and who waits for it',
    examples: ['aspen-agent lock get nightly'],
    run: async ({ args: [name = ''], call }) =>
      resourceOutput('aspen.lock.get/v1', await call('lock.get', { name })),
  });
  define(lock, io, exit, {
    usage: 'list [prefix]',
    summary: 'locks that are held or waited for',
    examples: ['aspen-agent lock list', 'aspen-agent lock list jobs/ -o json'],
    configure: (command) =>
      command
        .option('--limit <n>', 'at most so many', wholeNumber(1))
        .option('--cursor <cursor>', 'go on where an earlier page ended'),
    run: async (context) => {
      const { args, options, call } = context;
      return resourcesOutput(context, 'aspen.lock.list/v1', await call('lock.list', pageOf(args, options)));
    },
  });
}

export function pageOf([prefix]: readonly string[], options: CommandContext['options']) {
  const { limit, cursor } = options as { readonly limit?: number; readonly cursor?: string };
  return {
    ...(prefix !== undefined && { prefix }),
    ...(limit !== undefined && { limit }),
    ...(cursor !== undefined && { cursor }),
  };
}

async function acquire({ args: [name = ''], options, call }: CommandContext): Promise<Output> {
  const ttlMs = (options['ttl'] as number | undefined) ?? DEFAULT_TTL_MS;
  const waitMs = (options['wait'] as number | undefined) ?? 0;
  const held = await call('lock.acquire', { name, ttlMs, waitMs }, { timeoutMs: waitMs + ANSWER_MARGIN_MS });
  return {
    schema: 'aspen.lock.acquire/v1',
    value: { name, ...held },
    ids: [held.leaseId],
    text: () =>
      `${held.leaseId}  token ${held.fencingToken}, for ${formatDuration(held.validMs)} unless it is renewed\n`,
  };
}

async function renew({ args: [name = '', leaseId = ''], call }: CommandContext): Promise<Output> {
  const renewed = await call('lock.renew', { name, leaseId });
  return {
    schema: 'aspen.lock.renew/v1',
    value: { name, leaseId, ...renewed },
    ids: [leaseId],
    text: () => `${name} for another ${formatDuration(renewed.validMs)}\n`,
  };
}

async function release({ args: [name = '', leaseId = ''], call }: CommandContext): Promise<Output> {
  const released = await call('lock.release', { name, leaseId });
  return {
    schema: 'aspen.lock.release/v1',
    value: { name, leaseId, ...released },
    ids: [leaseId],
    text: () => `${name} is given back\n`,
  };
}

async function runLocked(context: CommandContext): Promise<number> {
  const { args, options, io, tell } = context;
  const [name = '', command = '', ...rest] = args;
  const ttlMs = (options['ttl'] as number | undefined) ?? DEFAULT_TTL_MS;
  if (ttlMs < SHORTEST_TTL_MS) {
    throw new AspenError(
      'INVALID_PARAMS',
      `--ttl must be at least ${SHORTEST_TTL_MS} ms to be renewed in time`,
    );
  }
  const interrupts = new Interrupts(io);
  using _ = interrupts;
  const held = await takeLock(context, { name, ttlMs }, interrupts);
  if (held === undefined) return EXIT_INTERRUPTED;
  const { leaseId, fencingToken, hold } = held;
  const program = startHeldProgram({
    command,
    args: rest,
    graceMs: hold.times.graceMs,
    env: {
      ...io.env,
      ASPEN_FENCING_TOKEN: String(fencingToken),
      ASPEN_LOCK_NAME: name,
      ASPEN_LEASE_ID: leaseId,
    },
  });
  interrupts.handler = (signal) => program.signal(signal);
  const end = await runHeld(
    { clock, program, renew: () => renewOnce(context, { name, leaseId, hold }) },
    hold,
  );
  await giveBack(context, { name, leaseId }, end);
  if (end.lost !== undefined) {
    io.stderr.write(`aspen-agent: the lock "${name}" was lost, the program was ended: ${end.lost}\n`);
    return EXIT_CONFLICT;
  }
  if (end.exit.spawnError !== undefined)
    tell(`aspen-agent: cannot run ${command}: ${end.exit.spawnError.message}`);
  return exitCodeOf(end.exit);
}

const clock = new OsClock();

/** What Ctrl-C does, first to the waiting, then to the program. */
class Interrupts implements Disposable {
  readonly #aborter = new AbortController();
  readonly #listening: Disposable;
  handler: (signal: 'SIGINT' | 'SIGTERM') => void = () => this.#aborter.abort();

  constructor(io: CliIo) {
    this.#listening = io.onInterrupt((signal) => this.handler(signal));
  }

  get signal(): AbortSignal {
    return this.#aborter.signal;
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }
}

/**
 * Queues for the lock, and renews it once: what is believed of it counts from that renewal. A place in the queue that was lost before its
 * turn (the agent was restarted, or cut off) is taken anew. @returns undefined when it was interrupted.
 */
async function takeLock(
  context: CommandContext,
  { name, ttlMs }: { readonly name: string; readonly ttlMs: number },
  { signal }: Interrupts,
): Promise<{ readonly leaseId: string; readonly fencingToken: number; readonly hold: Hold } | undefined> {
  const longestMs = (context.options['wait'] as number | undefined) ?? LONGEST_WAIT_MS;
  const untilMs = clock.monotonicMs() + longestMs;
  for (;;) {
    const waitMs = Math.max(0, Math.floor(Math.min(longestMs, untilMs - clock.monotonicMs())));
    try {
      const wish = { name, ttlMs, waitMs };
      const held = await context.call('lock.acquire', wish, { timeoutMs: waitMs + ANSWER_MARGIN_MS, signal });
      const sentAt = momentOf(clock);
      const { leaseId, fencingToken } = held;
      await context.call('lock.renew', { name, leaseId }, { timeoutMs: ttlMs, signal });
      return { leaseId, fencingToken, hold: new Hold(holdTimes(ttlMs), sentAt) };
    } catch (error) {
      if (signal.aborted) return undefined;
      const isLostPlace = error instanceof AspenError && error.code === 'FENCED';
      if (!isLostPlace || clock.monotonicMs() >= untilMs) throw error;
    }
  }
}

async function renewOnce(
  { connect }: CommandContext,
  { name, leaseId, hold }: { readonly name: string; readonly leaseId: string; readonly hold: Hold },
): Promise<void> {
  const client = await connect();
  await client.call('lock.renew', { name, leaseId }, { timeoutMs: hold.times.renewEveryMs });
}

/** What cannot be given back ends by itself. */
async function giveBack(
  { connect, tell }: CommandContext,
  { name, leaseId }: { readonly name: string; readonly leaseId: string },
  { lost }: HeldEnd,
): Promise<void> {
  try {
    const client = await connect();
    await client.call('lock.release', { name, leaseId }, { timeoutMs: lost === undefined ? 5_000 : 500 });
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    if (lost === undefined)
      tell(`aspen-agent: lock "${name}" is not given back, it ends by itself: ${error.message}`);
  }
}

function exitCodeOf({ exitCode, signal, spawnError }: HeldExit): number {
  if (spawnError !== undefined) return spawnError.code === 'ENOENT' ? EXIT_NO_PROGRAM : EXIT_CANNOT_START;
  if (signal !== null) return SIGNAL_BASE + (constants.signals[signal] ?? 0);
  return exitCode ?? 1;
}
