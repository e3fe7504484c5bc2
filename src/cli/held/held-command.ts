import { constants } from 'node:os';
import { AspenError, type Clock, ERROR_KINDS, exactDuration } from '../../base/index.ts';
import { OsClock } from '../../base/os-clock.ts';
import type { CallOptions } from '../../sdk/index.ts';
import type { CommandContext } from '../command.ts';
import { EXIT_INTERRUPTED, wrongUsage } from '../failure.ts';
import type { CliIo, Interrupt } from '../io.ts';
import { Hold, holdTimes } from './hold.ts';
import { startHeldProgram } from './os-held-program.ts';
import { type HeldEnd, type HeldExit, momentOf, runHeld } from './run-held.ts';

const EXIT_LOST = ERROR_KINDS.FENCED.exitCode;
const EXIT_CANNOT_START = 126;
const EXIT_NO_PROGRAM = 127;
const SIGNAL_BASE = 128;
export const DEFAULT_TTL_MS = 15_000;
const SHORTEST_TTL_MS = 1_000;
/** As long as a request may wait: who gives no limit means to have it. */
const LONGEST_WAIT_MS = 604_800_000;
/** For the answer, beyond the time that the group was told to wait. */
const ANSWER_MARGIN_MS = 20_000;
const RELEASE_MS = 5_000;
const RELEASE_LOST_MS = 500;

export const SAFETY_HELP =
  '\nIt keeps others out of the lock, not out of what it stands for: a program that was stopped for a while may wake up when\n' +
  'somebody else holds it. Give ASPEN_FENCING_TOKEN to what you change, and let that refuse smaller ones.\n';

/** Something that is held by a lease while a program runs. */
export interface Holding {
  /** As messages name it, e.g. `lock "nightly"`. */
  readonly what: string;
  readonly name: string;
  acquire(
    wish: { readonly ttlMs: number; readonly waitMs: number },
    options: CallOptions,
  ): Promise<{ readonly leaseId: string; readonly fencingToken: number }>;
  renew(leaseId: string, options: CallOptions): Promise<unknown>;
  release(leaseId: string, options: CallOptions): Promise<unknown>;
}

interface Taken {
  readonly leaseId: string;
  readonly fencingToken: number;
  readonly hold: Hold;
}

const clock: Clock = new OsClock();

/** @returns how long to wait for what may take `waitMs`. Without a quorum it is asked for again only as long as the user said with `--timeout`. */
export function whileWaiting({ timeoutMs }: CommandContext['flags'], waitMs: number): CallOptions {
  return { timeoutMs: waitMs + ANSWER_MARGIN_MS, quorumMs: timeoutMs ?? 0 };
}

/** Waits for it, runs the program under it, and gives it back. @returns the exit code. */
export async function runUnderLease(
  { options, flags, io, tell }: CommandContext,
  holding: Holding,
  [command = '', ...args]: readonly string[],
): Promise<number> {
  const ttlMs = (options['ttl'] as number | undefined) ?? DEFAULT_TTL_MS;
  if (ttlMs < SHORTEST_TTL_MS) throw wrongUsage(`--ttl: must be at least ${exactDuration(SHORTEST_TTL_MS)}`);
  const longestMs = (options['wait'] as number | undefined) ?? LONGEST_WAIT_MS;
  using interrupts = new Interrupts(io);
  const taken = await take(holding, { ttlMs, longestMs, flags }, interrupts.signal);
  if (taken === undefined) return EXIT_INTERRUPTED;
  const { leaseId, fencingToken, hold } = taken;
  const program = startHeldProgram({
    command,
    args,
    graceMs: hold.times.graceMs,
    env: {
      ...io.env,
      ASPEN_FENCING_TOKEN: String(fencingToken),
      ASPEN_LOCK_NAME: holding.name,
      ASPEN_LEASE_ID: leaseId,
    },
  });
  interrupts.handler = (signal) => program.signal(signal);
  const renew = async () => {
    await holding.renew(leaseId, { timeoutMs: hold.times.renewEveryMs });
  };
  const end = await runHeld({ clock, program, renew }, hold);
  await giveBack(holding, leaseId, end, tell);
  if (end.lost !== undefined) {
    io.stderr.write(`aspen-agent: ${holding.what} was lost, the program was ended: ${end.lost}\n`);
    return EXIT_LOST;
  }
  const { spawnError } = end.exit;
  if (spawnError !== undefined)
    io.stderr.write(`aspen-agent: cannot run ${command}: ${spawnError.message}\n`);
  return exitCodeOf(end.exit);
}

/** What Ctrl-C does, first to the waiting, then to the program. */
class Interrupts implements Disposable {
  readonly #aborter = new AbortController();
  readonly #listening: Disposable;
  handler: (signal: Interrupt) => void = () => this.#aborter.abort();

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
 * Queues for it, and renews it once: what is believed of it counts from that renewal. A place in the queue that was lost before its turn
 * (the agent was restarted, or cut off) is taken anew, also where a quorum has to be waited for then. @returns undefined when it was interrupted.
 */
async function take(
  holding: Holding,
  {
    ttlMs,
    longestMs,
    flags,
  }: { readonly ttlMs: number; readonly longestMs: number; readonly flags: CommandContext['flags'] },
  signal: AbortSignal,
): Promise<Taken | undefined> {
  const untilMs = clock.monotonicMs() + longestMs;
  for (let isFirst = true; ; isFirst = false) {
    const waitMs = isFirst ? longestMs : Math.max(0, Math.floor(untilMs - clock.monotonicMs()));
    try {
      const { timeoutMs, ...once } = whileWaiting(flags, waitMs);
      const options = { timeoutMs, ...(isFirst && once), signal };
      const { leaseId, fencingToken } = await holding.acquire({ ttlMs, waitMs }, options);
      const sentAt = momentOf(clock);
      await holding.renew(leaseId, { timeoutMs: ttlMs, signal });
      return { leaseId, fencingToken, hold: new Hold(holdTimes(ttlMs), sentAt) };
    } catch (error) {
      if (signal.aborted) return undefined;
      const isLostPlace = error instanceof AspenError && error.code === 'FENCED';
      if (!isLostPlace || clock.monotonicMs() >= untilMs) throw error;
    }
  }
}

/** What cannot be given back ends by itself. */
async function giveBack(
  holding: Holding,
  leaseId: string,
  { lost }: HeldEnd,
  tell: CommandContext['tell'],
): Promise<void> {
  try {
    await holding.release(leaseId, { timeoutMs: lost === undefined ? RELEASE_MS : RELEASE_LOST_MS });
  } catch (error) {
    if (!(error instanceof AspenError)) throw error;
    if (lost !== undefined) return; // that it is lost is what is told
    tell(`aspen-agent: ${holding.what} is not given back, it ends by itself: ${error.message}`);
  }
}

function exitCodeOf({ exitCode, signal, spawnError }: HeldExit): number {
  if (spawnError !== undefined) return spawnError.code === 'ENOENT' ? EXIT_NO_PROGRAM : EXIT_CANNOT_START;
  if (signal !== null) return SIGNAL_BASE + (constants.signals[signal] ?? 0);
  return exitCode ?? 1;
}
