import type { Timer } from '../base/index.ts';
import {
  type AttemptSecrets,
  DIRECTORY_VARIABLE,
  Masker,
  type OpenedSecrets,
  type SecretOpener,
  SecretUnreadable,
} from '../secrets/index.ts';
import type { BootClock } from './boot-clock.ts';
import { Capture } from './capture.ts';
import { type Belonging, type Census, MARK_VARIABLE, nameOfProcess, processesOf } from './census.ts';
import type { Ask } from './confinement.ts';
import type { OutputStream, ProcessExit, ProcessRequest, Runner, RunningProcess } from './runner.ts';
import type { Spool, SpoolWriter } from './spool.ts';
import type { EndedBy, SupervisedEnd, SupervisedRequest, Survivor } from './supervised.ts';

/** What a supervisor is asked to run: its hold counts on the machine's clock, which all processes share and which counts sleep. */
export interface Order extends Omit<SupervisedRequest, 'holdUntilMs'> {
  readonly holdUntilBootMs: number;
}

export interface AttemptComponents {
  readonly runner: Runner;
  readonly spool: Spool;
  readonly census: Census;
  readonly clock: BootClock;
  /** Opens secrets of attempts. @default none can be opened */
  readonly secrets?: SecretOpener;
}

export interface AttemptEvents {
  started(attempt: SupervisedAttempt): void;
  output(attempt: SupervisedAttempt): void;
  ended(attempt: SupervisedAttempt): void;
}

/** The code of an attempt whose secrets could not be opened. */
export const UNREADABLE_SECRET = 'SECRET_UNREADABLE';
/** The reader of a process is stopped while so much of its output is not on disk yet. Unit: bytes. */
const PENDING_MOST_BYTES = 1024 * 1024;
/** How long killed processes may take to go before they are named as survivors. Unit: ms. */
const DYING_MOST_MS = 5_000;
const FIRST_LOOK_MS = 10;
const LONGEST_LOOK_MS = 200;

const NEVER_BEGUN: RunningProcess = {
  exited: Promise.resolve({ exitCode: null, signal: 'SIGKILL' }),
  onOutput: () => undefined,
  stop: async () => undefined,
};

/** One attempt under its supervisor: its process group, its output, its deadlines. */
export class SupervisedAttempt {
  readonly order: Order;
  readonly mark: string;
  readonly startedBootMs: number;
  holdUntilBootMs: number;
  end: SupervisedEnd | null = null;
  readonly #components: AttemptComponents;
  readonly #events: AttemptEvents;
  readonly #running: RunningProcess;
  #secrets: OpenedSecrets | undefined;
  #maskers: Readonly<Record<OutputStream, Masker>> | undefined;
  readonly #capture: Capture;
  readonly #startedMs: number;
  #writer: SpoolWriter | undefined;
  #isHeldUp = false;
  #isExited = false;
  #endedBy: EndedBy = 'itself';
  #graceUntilMs = Number.POSITIVE_INFINITY;
  /** Resolved when the leader was killed and does not go. */
  readonly #stuck = Promise.withResolvers<void>();
  #ending: Promise<readonly Survivor[]> | undefined;
  /** Ends the pause between two looks. */
  #lookNow: () => void = () => undefined;
  readonly #known = new Set<string>();

  constructor(
    components: AttemptComponents,
    { order, mark, events }: { readonly order: Order; readonly mark: string; readonly events: AttemptEvents },
  ) {
    const { clock } = components;
    this.#components = components;
    this.#events = events;
    this.order = order;
    this.mark = mark;
    this.holdUntilBootMs = order.holdUntilBootMs;
    this.startedBootMs = clock.bootMs();
    this.#startedMs = clock.monotonicMs();
    this.#capture = new Capture(order);
    this.#running = this.#begin();
    this.#running.onOutput((stream, bytes) => this.#take(stream, bytes));
  }

  /** V1: what comes too late is not begun. */
  #begin(): RunningProcess {
    if (this.startedBootMs >= this.holdUntilBootMs) {
      this.#endedBy = 'hold';
      return NEVER_BEGUN;
    }
    const { command, args, env, cwd, stdin, shell, secrets, ask } = this.order;
    if (secrets !== undefined) {
      const unreadable = this.#open(secrets);
      if (unreadable !== undefined) return unreadable;
    }
    return this.#components.runner.start({
      command,
      args,
      env: { ...env, ...this.#secrets?.env, [MARK_VARIABLE]: this.mark },
      shell,
      ...(cwd !== undefined && { cwd }),
      ...(stdin !== undefined && { stdin }),
      ...this.#askWith(ask),
    });
  }

  /** Variables that hold secrets are the job's as well as others. */
  #askWith(ask: Ask | undefined): Pick<ProcessRequest, 'ask' | 'ownDirectory'> {
    if (this.#secrets === undefined) return ask === undefined ? {} : { ask };
    const { [DIRECTORY_VARIABLE]: ownDirectory, ...env } = this.#secrets.env;
    return {
      ask: { ...ask, variables: [...(ask?.variables ?? []), ...Object.keys(env)] },
      ...(ownDirectory !== undefined && { ownDirectory }),
    };
  }

  /** V6 @returns an attempt that never began when they cannot be opened. */
  #open(secrets: AttemptSecrets): RunningProcess | undefined {
    try {
      const { secrets: opener } = this.#components;
      if (opener === undefined) throw new SecretUnreadable('secrets cannot be opened here');
      this.#secrets = opener.open(secrets);
      const { values } = this.#secrets;
      this.#maskers = { stdout: new Masker(values), stderr: new Masker(values) };
      return undefined;
    } catch (error) {
      if (!(error instanceof SecretUnreadable) && (error as NodeJS.ErrnoException).code === undefined)
        throw error;
      const spawnError = { code: UNREADABLE_SECRET, message: (error as Error).message };
      return { ...NEVER_BEGUN, exited: Promise.resolve({ exitCode: null, signal: null, spawnError }) };
    }
  }

  get pid(): number | undefined {
    return this.#running.pid;
  }

  get outputBytes(): number {
    return this.#writer?.writtenBytes ?? 0;
  }

  /** To be called once. Resolves when it has ended and its end was told. */
  async follow(): Promise<void> {
    this.#events.started(this);
    const exit = await this.#exit();
    const survivors = (await this.#ending) ?? [];
    this.#endSecrets();
    await this.#writer?.end();
    this.end = {
      exit,
      endedBy: this.#endedBy,
      output: this.#facts(),
      durationMs: Math.round(this.#components.clock.monotonicMs() - this.#startedMs),
      survivors,
    };
    this.#events.ended(this);
  }

  /** V1, and the time limit. */
  checkTime(bootMs: number): void {
    const { timeoutMs, graceMs } = this.order;
    if (bootMs >= this.holdUntilBootMs) this.stop('hold', 0);
    else if (timeoutMs !== null && bootMs - this.startedBootMs >= timeoutMs) this.stop('timeout', graceMs);
  }

  /** V2. The first reason counts; a later call can only shorten the grace. */
  stop(by: Exclude<EndedBy, 'itself'>, graceMs: number): void {
    if (this.end !== null || (this.#isExited && this.#ending === undefined)) return;
    const untilMs = this.#components.clock.monotonicMs() + graceMs;
    const isShorter = untilMs < this.#graceUntilMs;
    this.#graceUntilMs = Math.min(this.#graceUntilMs, untilMs);
    if (this.#ending === undefined) {
      this.#endedBy = by;
      this.#ending = this.#endAll();
    } else if (isShorter) this.#lookNow();
  }

  /** What is left when a killed leader does not go is told as a survivor, rather than waited for. */
  async #exit(): Promise<ProcessExit> {
    const exited = this.#running.exited.then((exit) => {
      this.#isExited = true;
      this.#lookNow();
      return exit;
    });
    const stuck = this.#stuck.promise.then(() => ({ exitCode: null, signal: null }));
    return Promise.race([exited, stuck]);
  }

  async #endAll(): Promise<readonly Survivor[]> {
    const { clock } = this.#components;
    const isInGrace = () => clock.monotonicMs() < this.#graceUntilMs;
    this.#signalAll('SIGTERM');
    void this.#running.stop(Math.max(0, this.#graceUntilMs - clock.monotonicMs()));
    for (let pauseMs = FIRST_LOOK_MS; isInGrace() && this.#isAnybodyLeft(); pauseMs *= 2) {
      await this.#pause(Math.min(pauseMs, LONGEST_LOOK_MS, this.#graceUntilMs - clock.monotonicMs()));
    }
    void this.#running.stop(0);
    const untilMs = clock.monotonicMs() + DYING_MOST_MS;
    for (let pauseMs = FIRST_LOOK_MS; clock.monotonicMs() < untilMs; pauseMs *= 2) {
      this.#signalAll('SIGKILL');
      if (!this.#isAnybodyLeft()) return [];
      await this.#pause(Math.min(pauseMs, LONGEST_LOOK_MS));
    }
    this.#stuck.resolve();
    return this.#look().map(({ pid, command }) => ({ pid, command }));
  }

  #isAnybodyLeft(): boolean {
    return !this.#isExited || this.#look().length > 0;
  }

  /** The group itself is the runner's to signal, all at once; these are those who left it, and whoever is left at the end. */
  #signalAll(signal: 'SIGTERM' | 'SIGKILL'): void {
    for (const seen of this.#look()) {
      if (signal === 'SIGTERM' && seen.groupId === this.pid) continue;
      this.#components.census.signal(seen, signal);
    }
  }

  #look() {
    const belonging: Belonging = {
      mark: this.mark,
      leaderPid: this.pid,
      isLeaderAlive: !this.#isExited,
      known: this.#known,
      members: this.#running.members?.(),
    };
    const found = processesOf(belonging, this.#components.census.take() ?? []);
    for (const seen of found) this.#known.add(nameOfProcess(seen));
    return found;
  }

  #pause(forMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer: Timer = this.#components.clock.setTimer(Math.max(1, forMs), resolve);
      this.#lookNow = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  #take(stream: OutputStream, bytes: Uint8Array): void {
    this.#keep(stream, this.#maskers === undefined ? bytes : this.#maskers[stream].push(bytes));
  }

  /** V6 */
  #endSecrets(): void {
    if (this.#maskers !== undefined)
      for (const stream of ['stdout', 'stderr'] as const) this.#keep(stream, this.#maskers[stream].end());
    this.#secrets?.close();
    this.#secrets = undefined;
  }

  #keep(stream: OutputStream, bytes: Uint8Array): void {
    const kept = this.#capture.add(stream, bytes);
    if (kept.length === 0) return;
    this.#writer ??= this.#components.spool.create(this.order.outputKey, () => this.#events.output(this));
    this.#writer.append(stream, kept);
    if (!this.#isHeldUp && this.#writer.pendingBytes > PENDING_MOST_BYTES) void this.#holdUp(this.#writer);
  }

  /** A disk slower than the process must not fill the memory. */
  async #holdUp(writer: SpoolWriter): Promise<void> {
    this.#isHeldUp = true;
    this.#running.pause?.();
    await writer.flushed();
    this.#isHeldUp = false;
    this.#running.resume?.();
  }

  #facts() {
    const facts = this.#capture.facts();
    return this.#writer?.fault == null ? facts : { ...facts, truncated: true };
  }
}
