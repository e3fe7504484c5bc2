import { sleep } from '../../base/index.ts';
import { StorageFault } from '../../storage/index.ts';
import type { ReplicaCore } from './core.ts';
import { FULL_DISK_RETRY_MS } from './leaderships.ts';

/** Long enough that the store would refuse it while the disk is full. Unit: bytes. */
const PROBE_BYTES = 4_096;
const PROBE_KEY = 'r/room';

/**
 * What becomes of a replica whose disk or machine fails it.
 *
 * - P3 After a failed sync nothing more is said or written: the process ends. After a full disk memory is thrown away and read anew.
 */
export class Faults {
  readonly #core: ReplicaCore;
  readonly #dropWork: () => void;
  #haltReason: string | null = null;

  /** @param dropWork ends the leadership and refuses whoever waits. */
  constructor(core: ReplicaCore, dropWork: () => void) {
    this.#core = core;
    this.#dropWork = dropWork;
  }

  /** Why this replica no longer applies; null while it does. */
  get haltReason(): string | null {
    return this.#haltReason;
  }

  onStorageFault(error: unknown): void {
    const { mode, log, tasks } = this.#core;
    if (error instanceof StorageFault && error.kind === 'full') {
      if (mode !== 'running') return;
      log.error({ err: error }, 'the disk is full, this node refuses writes until there is room');
      this.standAside('full');
      tasks.run((signal) => this.#awaitRoom(signal));
    } else if (mode !== 'stopped') this.fail(error);
  }

  /** Stops applying, and says why; the process goes on. */
  halt(reason: string): void {
    this.#haltReason = reason;
    this.#core.log.error({ reason }, 'stopped applying');
    this.standAside('halted');
  }

  standAside(mode: 'full' | 'halted' | 'changing'): void {
    this.#core.mode = mode;
    this.#dropWork();
  }

  /** P3 */
  fail(error: unknown): void {
    if (this.#core.mode === 'stopped') return;
    this.standAside('halted');
    this.#haltReason = error instanceof Error ? error.message : String(error);
    this.#core.components.onFatal(error);
  }

  /** P3: what memory holds beyond the disk is gone; raft begins again from what is durable. */
  async #awaitRoom(signal: AbortSignal): Promise<void> {
    const { clock } = this.#core.components;
    do {
      await sleep(clock, FULL_DISK_RETRY_MS, signal);
    } while (!(await this.#hasRoom()));
    this.#core.reopen();
    this.#core.mode = 'running';
    this.#core.log.info({}, 'the disk has room again');
  }

  async #hasRoom(): Promise<boolean> {
    const { store } = this.#core.components;
    try {
      await store.write([{ type: 'put', key: PROBE_KEY, value: new Uint8Array(PROBE_BYTES) }]);
      await store.write([{ type: 'delete', key: PROBE_KEY }]);
      return true;
    } catch (error) {
      if (error instanceof StorageFault && error.kind === 'full') return false;
      throw error;
    }
  }
}
