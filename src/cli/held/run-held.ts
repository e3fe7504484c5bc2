import { AspenError, type Clock, every, pause } from '../../base/index.ts';
import type { Hold, Moment } from './hold.ts';

/** How a program ended. */
export interface HeldExit {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it did not start at all. */
  readonly spawnError?: { readonly code: string; readonly message: string };
}

/** A program with everything that it started. */
export interface HeldProgram {
  readonly exited: Promise<HeldExit>;
  signal(signal: NodeJS.Signals): void;
}

export interface HeldParts {
  readonly clock: Clock;
  readonly program: HeldProgram;
  /** Resolves when the group has confirmed the renewal. @throws AspenError FENCED when the lease is lost. */
  readonly renew: () => Promise<void>;
}

export interface HeldEnd {
  readonly exit: HeldExit;
  /** Why the program was ended before it was done; undefined when it ended by itself. */
  readonly lost?: string;
}

const CHECKS_PER_LEASE = 100;
const MOST_BETWEEN_CHECKS_MS = 100;

/**
 * Keeps a lease while a program runs, and ends the program before the lease can be over (D1 to D3 in `hold.ts`). A lease that is
 * known to be lost leaves no time for grace.
 */
export async function runHeld({ clock, program, renew }: HeldParts, hold: Hold): Promise<HeldEnd> {
  const ended = new AbortController();
  let lost: string | undefined;
  const lose = (reason: string, signal: 'SIGTERM' | 'SIGKILL') => {
    if (lost === undefined || signal === 'SIGKILL') program.signal(signal);
    lost ??= reason;
    ended.abort(); // what was told to end is not held on to
  };
  const check = () => {
    const now = momentOf(clock);
    const duty = hold.duty(now);
    if (duty === 'go-on') return;
    const reason = `no renewal was confirmed for ${Math.round(hold.elapsedMs(now))} ms`;
    lose(reason, duty === 'kill' ? 'SIGKILL' : 'SIGTERM');
  };
  const checking = every(
    clock,
    Math.min(MOST_BETWEEN_CHECKS_MS, Math.ceil(hold.times.ttlMs / CHECKS_PER_LEASE)),
    check,
  );
  void keepRenewing({ clock, renew, signal: ended.signal }, hold, (reason) => lose(reason, 'SIGKILL'));
  try {
    const exit = await program.exited;
    return lost === undefined ? { exit } : { exit, lost };
  } finally {
    checking[Symbol.dispose]();
    ended.abort();
  }
}

export function momentOf(clock: Clock): Moment {
  return { monotonicMs: clock.monotonicMs(), wallMs: clock.wallMs() };
}

/** One renewal at a time; one that failed is tried again sooner. Ends when the signal aborts or the lease is lost; never throws. */
async function keepRenewing(
  {
    clock,
    renew,
    signal,
  }: { readonly clock: Clock; readonly renew: () => Promise<void>; readonly signal: AbortSignal },
  hold: Hold,
  onLost: (reason: string) => void,
): Promise<void> {
  const { renewEveryMs } = hold.times;
  let pauseMs = renewEveryMs;
  while (await pause(clock, pauseMs, signal)) {
    const sentAt = momentOf(clock);
    try {
      await renew();
      if (signal.aborted) return;
      hold.confirm(sentAt);
      pauseMs = Math.max(0, renewEveryMs - (clock.monotonicMs() - sentAt.monotonicMs));
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof AspenError && error.code === 'FENCED') {
        onLost(error.message);
        return;
      }
      pauseMs = Math.ceil(renewEveryMs / 4); // whatever keeps it from being confirmed, `check` draws the consequence
    }
  }
}
