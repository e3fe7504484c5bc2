import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { execPath } from 'node:process';
import { fileURLToPath } from 'node:url';
import { type Clock, every, type Logger } from '../base/index.ts';
import { type Layers, NO_LAYERS, OPEN_POLICY, type WorkPolicy } from './confinement.ts';
import { PROTOCOL } from './frames.ts';
import { unfinishedIn } from './os-attempt-journal.ts';
import { OsBootClock, readBootId } from './os-boot-clock.ts';
import { clearCgroups } from './os-cgroups.ts';
import { endLeftovers, isSupervisorAlive } from './os-leftovers.ts';
import { OsSpool } from './os-spool.ts';
import { SupervisorFiles, type SupervisorRecord } from './os-supervisor-files.ts';
import { type LinkedProcess, SupervisorLink } from './os-supervisor-link.ts';
import type { OutputArchive } from './spool.ts';
import type {
  AdoptedAttempt,
  Inherited,
  InterruptedAttempt,
  SupervisedProcess,
  SupervisedRequest,
  Supervisor,
} from './supervised.ts';
import { WaitingProcess } from './waiting-process.ts';

export interface OsSupervisorComponents {
  /** Of the agent. */
  readonly clock: Clock;
  readonly log: Logger;
}

/** How what is begun is to be held. */
export interface Confinement {
  readonly policy: WorkPolicy;
  readonly layers: Layers;
}

export interface OsSupervisorOptions {
  readonly dataDirectory: string;
  /** How long kept output may stay after it was last written, where its limits leave it. Unit: ms. @default 7 days */
  readonly outputRetentionMs?: number;
  /** The command that a supervisor is; the directory and its id follow. @default this Node with the source beside this file */
  readonly command?: readonly [string, ...string[]];
  /** @default nothing is refused but what changes programs, nothing is held */
  readonly confinement?: Confinement;
}

const OWN_COMMAND: readonly [string, ...string[]] = [
  execPath,
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=1', // what passes through is short-lived: kept small, it is given back early
  fileURLToPath(new URL('os-main.ts', import.meta.url)),
];
/** Time for a supervisor to start and listen. Unit: ms. */
const READY_WITHIN_MS = 15_000;
/** Kept output is brought within its limits after so many attempts. */
const PRUNE_EVERY = 256;
/** And so often. Unit: ms. */
const PRUNE_EVERY_MS = 10 * 60_000;
const OWNER_ONLY_FILE = 0o600;

/**
 * Supervisors of this machine: processes of their own, begun with the first attempt, which outlive the agent. One holds the attempts of many;
 * those of earlier versions are kept until they have nothing left.
 */
export class OsSupervisor implements Supervisor {
  readonly archive: OutputArchive;
  readonly #components: OsSupervisorComponents;
  readonly #files: SupervisorFiles;
  readonly #spool: OsSpool;
  readonly #command: readonly [string, ...string[]];
  readonly #confinement: Confinement;
  readonly #boot = new OsBootClock();
  readonly #bootId = readBootId();
  /** All that are known to live, by id; the last one takes what is new. */
  readonly #links = new Map<string, SupervisorLink>();
  #opening: Promise<SupervisorLink> | undefined;
  #startCount = 0;
  #pruning: Promise<number> = Promise.resolve(0);
  #pruner: Disposable | undefined;

  constructor(
    components: OsSupervisorComponents,
    { dataDirectory, command, outputRetentionMs, confinement }: OsSupervisorOptions,
  ) {
    this.#components = components;
    this.#files = new SupervisorFiles(dataDirectory);
    this.#spool = new OsSpool(
      this.#files.outputs,
      outputRetentionMs === undefined ? {} : { ageLimitMs: outputRetentionMs },
    );
    this.archive = this.#spool;
    this.#command = command ?? OWN_COMMAND;
    this.#confinement = confinement ?? { policy: OPEN_POLICY, layers: NO_LAYERS };
  }

  start(request: SupervisedRequest): SupervisedProcess {
    this.#startCount += 1;
    if (this.#startCount % PRUNE_EVERY === 0) this.#prune();
    const link = [...this.#links.values()].at(-1);
    return link === undefined || link.isClosed ? this.#startLater(request) : this.#startOn(link, request);
  }

  async inherit(): Promise<Inherited> {
    const ids = this.#files.ids().filter((id) => !this.#links.has(id));
    const parts = await Promise.all(ids.map((id) => this.#inheritFrom(id)));
    this.#prune();
    this.#pruner ??= every(this.#components.clock, PRUNE_EVERY_MS, () => this.#prune());
    return {
      adopted: parts.flatMap(({ adopted }) => adopted),
      interrupted: parts.flatMap(({ interrupted }) => interrupted),
    };
  }

  async close({ leaveRunning }: { readonly leaveRunning: boolean }): Promise<void> {
    this.#pruner?.[Symbol.dispose]();
    if (this.#opening !== undefined) await Promise.allSettled([this.#opening]); // who asked for it is told
    for (const link of this.#links.values()) {
      if (!leaveRunning && !link.isClosed) link.send({ type: 'retire', graceMs: 0 });
      await link.close();
    }
    await this.#pruning;
  }

  #startOn(link: SupervisorLink, request: SupervisedRequest): LinkedProcess {
    const process = link.process(request.name, request.outputKey);
    this.#begin(link, request);
    return process;
  }

  #begin(link: SupervisorLink, { holdUntilMs, ...request }: SupervisedRequest): void {
    link.send({ type: 'begin', order: { ...request, holdUntilBootMs: this.#toBootMs(holdUntilMs) } });
  }

  /** The first attempt waits for its supervisor. */
  #startLater(request: SupervisedRequest): SupervisedProcess {
    const waiting = new WaitingProcess(request);
    this.#opening ??= this.#open().finally(() => {
      this.#opening = undefined;
    });
    this.#opening.then(
      (link) => waiting.begin((now) => this.#startOn(link, now)),
      (error: unknown) => waiting.fail(error),
    );
    return waiting;
  }

  async #open(): Promise<SupervisorLink> {
    const id = this.#files.drawId();
    const child = this.#spawn(id);
    try {
      await isReady(child);
      const record = this.#files.readRecord(id);
      if (record === undefined) throw new Error('a supervisor wrote no record');
      const link = await this.#connect(record);
      this.#components.log.info({ supervisor: id, pid: record.pid }, 'supervisor started');
      return link;
    } catch (error) {
      child.kill('SIGKILL');
      this.#files.remove(id);
      throw error;
    }
  }

  #spawn(id: string): ChildProcess {
    const [program, ...args] = this.#command;
    const log = openSync(this.#files.logPath(id), 'a', OWNER_ONLY_FILE);
    try {
      const child = spawn(program, [...args, this.#files.dataDirectory, id], {
        detached: true,
        stdio: ['ignore', 'pipe', log],
        cwd: '/',
      });
      child.unref();
      return child;
    } finally {
      closeSync(log);
    }
  }

  async #connect(record: SupervisorRecord): Promise<SupervisorLink> {
    const link = await SupervisorLink.open(
      { socketPath: this.#files.socketPath(record.id), secret: record.secret },
      {
        readOutput: (...asked) => this.#spool.read(...asked),
        toBootMs: (untilMs) => this.#toBootMs(untilMs),
        onGone: async () => {
          this.#components.log.warn({ supervisor: record.id }, 'a supervisor is gone, what it held is ended');
          this.#links.delete(record.id);
          await this.#endAll(record);
        },
      },
    );
    link.send({ type: 'confine', ...this.#confinement });
    this.#links.set(record.id, link);
    return link;
  }

  /** V3 */
  async #inheritFrom(id: string): Promise<Inherited> {
    const record = this.#files.readRecord(id);
    const unfinished = unfinishedIn(this.#files.readJournal(id));
    const interrupted = (reason: string): readonly InterruptedAttempt[] => {
      if (unfinished.length > 0)
        this.#components.log.warn(
          { supervisor: id, attempts: unfinished.slice(0, 100), reason },
          'interrupted',
        );
      return unfinished.map((name) => ({ name, reason }));
    };
    if (record === undefined || record.directoryInode !== this.#files.inode) {
      this.#files.remove(id); // it never listened, or is another directory's and this one its copy
      return { adopted: [], interrupted: [] };
    }
    if (record.bootId !== this.#bootId) {
      this.#files.remove(id);
      return { adopted: [], interrupted: interrupted('the machine was started again') };
    }
    if (isSupervisorAlive(record, this.#bootId) && record.protocol === PROTOCOL) {
      const link = await this.#connect(record).catch((err: unknown) => {
        this.#components.log.warn({ err, supervisor: id }, 'a supervisor does not answer');
      });
      if (link !== undefined) return { adopted: this.#adopt(link), interrupted: [] };
    }
    await this.#endAll(record);
    return { adopted: [], interrupted: interrupted('its supervisor was killed') };
  }

  #adopt(link: SupervisorLink): readonly AdoptedAttempt[] {
    const [nowMs, bootMs] = [this.#components.clock.monotonicMs(), this.#boot.bootMs()];
    return link.held.map(({ name, note, outputKey, timeoutMs, ...held }) => {
      const process = link.process(name, outputKey);
      process.grow(held.outputBytes);
      if (held.end !== null) process.settle(held.end, held.outputBytes);
      return {
        name,
        note,
        holdUntilMs: nowMs + (held.holdUntilBootMs - bootMs),
        timeoutLeftMs: timeoutMs === null ? null : Math.max(0, timeoutMs - (bootMs - held.startedBootMs)),
        process,
      };
    });
  }

  async #endAll(record: SupervisorRecord): Promise<void> {
    const left = await endLeftovers(record, this.#bootId);
    clearCgroups(this.#confinement.layers, record.nonce);
    if (left.length > 0) {
      const processes = left.map(({ pid, command }) => ({ pid, command }));
      this.#components.log.warn(
        { supervisor: record.id, processes },
        'processes of attempts cannot be ended',
      );
    }
    this.#files.remove(record.id);
  }

  async prune(): Promise<number> {
    this.#prune();
    return this.#pruning;
  }

  #prune(): void {
    this.#pruning = this.#pruning.then(async () => {
      try {
        return await this.#spool.prune([...this.#links.values()].flatMap((link) => link.liveKeys));
      } catch (err) {
        this.#components.log.warn({ err }, 'kept output not brought within its limits');
        return 0;
      }
    });
  }

  #toBootMs(untilMs: number): number {
    return this.#boot.bootMs() + (untilMs - this.#components.clock.monotonicMs());
  }
}

function isReady(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (settle: () => void) => {
      clearTimeout(impatience);
      child.stdout?.destroy();
      settle();
    };
    const fail = (reason: string) => () => end(() => reject(new Error(`no supervisor: ${reason}`)));
    const impatience = setTimeout(fail(`not ready after ${READY_WITHIN_MS} ms`), READY_WITHIN_MS);
    child.once('error', (error) => fail(error.message)());
    child.once('exit', (code, signal) => fail(`it ended with ${code ?? signal}`)());
    child.stdout?.once('data', () => end(resolve));
  });
}
