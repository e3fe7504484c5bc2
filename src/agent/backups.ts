import { AspenError, type Clock, every, newId, type Random, sleep } from '../base/index.ts';
import {
  agreedIndex,
  type BackupHeader,
  BackupSource,
  durableIndex,
  type GroupClient,
} from '../lease/index.ts';
import type { Store } from '../storage/index.ts';

export interface BackupsComponents {
  readonly clock: Clock;
  readonly random: Random;
}

export interface BackupRequest {
  readonly store: Store;
  readonly client: Pick<GroupClient, 'askLeader'>;
  readonly meshId: string;
  readonly peerId: string;
  /** Take what this node has, also when nobody can tell whether it is all. */
  readonly allowStale: boolean;
}

/** Each holds pages of the store that cannot be used again meanwhile. */
const OPEN_LIMIT = 2;
/** One that nobody reads from any more is let go. Unit: ms. */
const IDLE_MS = 60_000;
const CATCH_UP_MS = 10_000;
const CATCH_UP_STEP_MS = 50;

interface OpenBackup {
  readonly source: BackupSource;
  usedAtMs: number;
}

/** Backups being read through the socket: the reader pulls, so that a slow one costs no memory. */
export class Backups {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #open = new Map<string, OpenBackup>();
  #watch: Disposable | undefined;

  constructor({ clock, random }: BackupsComponents) {
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * @throws AspenError RESOURCE_EXHAUSTED when too many are open; NO_QUORUM when nobody can tell what is agreed; CONFLICT when this node holds
   *   no copy, or does not catch up.
   */
  async begin({
    store,
    client,
    meshId,
    peerId,
    allowStale,
  }: BackupRequest): Promise<{ id: string; header: BackupHeader }> {
    if (this.#open.size >= OPEN_LIMIT) {
      throw new AspenError(
        'RESOURCE_EXHAUSTED',
        `${OPEN_LIMIT} backups are being taken on this node already`,
        {
          details: { limit: 'OPEN_LIMIT', retryAfterMs: IDLE_MS },
        },
      );
    }
    if (durableIndex(store) === 0) {
      throw new AspenError(
        'CONFLICT',
        'this node holds no copy of the agreed state; take the backup on a voter or standby (see `aspen-agent status`)',
      );
    }
    if (!allowStale) await this.#catchUp(store, await agreedIndex(client));
    const source = new BackupSource(store, { meshId, peerId, takenAtMs: this.#clock.wallMs() });
    const id = newId('bak', { clock: this.#clock, random: this.#random });
    this.#open.set(id, { source, usedAtMs: this.#clock.monotonicMs() });
    this.#watch ??= every(this.#clock, IDLE_MS / 4, () => this.#letGoIdle());
    return { id, header: source.header };
  }

  /** @returns the next piece; undefined at the end, and then the backup is closed. @throws AspenError NOT_FOUND when it is not open. */
  read(id: string): Uint8Array | undefined {
    const backup = this.#open.get(id);
    if (backup === undefined) {
      throw new AspenError(
        'NOT_FOUND',
        `no backup ${id} is being taken: it ended, or nobody read from it for ${IDLE_MS / 1_000} s`,
      );
    }
    backup.usedAtMs = this.#clock.monotonicMs();
    const piece = backup.source.next();
    if (piece === undefined) this.end(id);
    return piece;
  }

  end(id: string): void {
    this.#open.get(id)?.source[Symbol.dispose]();
    this.#open.delete(id);
    if (this.#open.size > 0) return;
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }

  #letGoIdle(): void {
    const before = this.#clock.monotonicMs() - IDLE_MS;
    for (const [id, { usedAtMs }] of [...this.#open]) if (usedAtMs < before) this.end(id);
  }

  /** What was acknowledged before the backup was asked for is in it: tables reach the disk a little later. */
  async #catchUp(store: Store, index: number): Promise<void> {
    for (let spentMs = 0; durableIndex(store) < index; spentMs += CATCH_UP_STEP_MS) {
      if (spentMs >= CATCH_UP_MS) {
        throw new AspenError(
          'CONFLICT',
          `the copy of this node is behind the group and did not catch up within ${CATCH_UP_MS} ms; ask another voter, or say --allow-stale`,
        );
      }
      await sleep(this.#clock, CATCH_UP_STEP_MS);
    }
  }
}
