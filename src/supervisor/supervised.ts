import type { AttemptSecrets } from '../secrets/index.ts';
import type { OutputFacts } from './capture.ts';
import type { ProcessExit, ProcessRequest } from './runner.ts';
import type { SpoolPage } from './spool.ts';

/** One attempt that is to run under a supervisor. */
export interface SupervisedRequest extends ProcessRequest {
  /** Unlike that of any other attempt of this node, ever. */
  readonly name: string;
  /** Plain JSON, kept with the attempt and given back to whoever adopts it. */
  readonly note: unknown;
  /** What its output is kept under. */
  readonly outputKey: string;
  /** Until when the attempt may go on, by the caller's monotonic clock; moved on by `renew`. */
  readonly holdUntilMs: number;
  /** Longest run; null for no limit. Unit: ms. */
  readonly timeoutMs: number | null;
  /** From SIGTERM to SIGKILL when its time is over. Unit: ms. */
  readonly graceMs: number;
  /** For both streams together; what goes beyond is counted and dropped. Unit: bytes. */
  readonly maxOutputBytes: number;
  /** When false, standard error is counted and dropped. */
  readonly captureStderr: boolean;
  /** Sealed; the supervisor opens them, and masks them in the output. Absent where there are none. */
  readonly secrets?: AttemptSecrets;
}

/** Who ended it: the process `itself`, a call of `stop`, its `timeout`, or the end of its `hold`. */
export type EndedBy = 'itself' | 'stop' | 'timeout' | 'hold';

/** A process of an attempt that could not be ended. */
export interface Survivor {
  readonly pid: number;
  /** Its name, as the system shows it. */
  readonly command: string;
}

/** How an attempt ended; plain JSON. */
export interface SupervisedEnd {
  readonly exit: ProcessExit;
  readonly endedBy: EndedBy;
  readonly output: OutputFacts;
  readonly durationMs: number;
  /** Only where somebody ended it: what was left of it then, looked for over the whole machine. */
  readonly survivors: readonly Survivor[];
}

/** Nobody can say any more how an attempt ended: its supervisor is gone. */
export class SupervisorGone extends Error {
  override readonly name = 'SupervisorGone';
}

export interface SupervisedProcess {
  /** @throws SupervisorGone by rejection. Nothing of the attempt runs any more when it settles, but for `survivors`. */
  readonly ended: Promise<SupervisedEnd>;
  /** Kept bytes of its output, both streams together, that can be read. */
  readonly outputBytes: number;
  /** There is more output, or the attempt has ended. */
  onOutput(callback: () => void): Disposable;
  /** @returns what is kept from `fromOffset` on, as much as there is. */
  readOutput(fromOffset: number, bytesLimit: number, into?: Uint8Array): Promise<SpoolPage>;
  /** Asks it to end; a later call can only shorten the grace. */
  stop(graceMs: number): void;
  /** @param holdUntilMs by the caller's monotonic clock. */
  renew(holdUntilMs: number): void;
  /** Whoever had to be told how it ended has been told. Until then an ended attempt can be adopted. */
  forget(): void;
}

/** An attempt that an earlier agent began here. */
export interface AdoptedAttempt {
  readonly name: string;
  readonly note: unknown;
  /** By the caller's monotonic clock. */
  readonly holdUntilMs: number;
  /** What is left of its timeout; null for no limit. */
  readonly timeoutLeftMs: number | null;
  readonly process: SupervisedProcess;
}

/** An attempt that an earlier agent began here, of which nothing is left. */
export interface InterruptedAttempt {
  readonly name: string;
  /** For people, e.g. `the machine was started again`. */
  readonly reason: string;
}

export interface Inherited {
  readonly adopted: readonly AdoptedAttempt[];
  readonly interrupted: readonly InterruptedAttempt[];
}

/**
 * Runs attempts so that they outlive the agent that began them.
 *
 * - V1 An attempt is ended when its hold has passed, whatever has become of its agent.
 * - V2 An attempt is said to be ended when no process of it is left on the machine; what could not be ended is named.
 * - V3 An attempt is adopted only from the supervisor that began it, which is known to live; what a dead one left behind is ended before
 *   anything is said of it.
 * - V4 How an attempt ended is kept until it was told (`forget`), over restarts of the agent.
 * - V6 Secrets are opened by the supervisor, for the processes of the attempt: the agent has them sealed, and the output has them masked.
 * - V5 Output is numbered by the supervisor in order of arrival; who reads on from an offset misses nothing and gets nothing twice.
 */
export interface Supervisor {
  start(request: SupervisedRequest): SupervisedProcess;
  /** To be called before anything is started; what was given once is not given again. */
  inherit(): Promise<Inherited>;
  /** Brings kept output within its limits now. @returns how many attempts' output went. @default it keeps none */
  prune?(): Promise<number>;
  /** This agent begins no more. What runs goes on when `leaveRunning` is set, and is ended otherwise. */
  close(options: { readonly leaveRunning: boolean }): Promise<void>;
}
