import {
  AspenError,
  type Clock,
  type LogIndex,
  type PeerId,
  type Random,
  randomInt,
  sleep,
} from '../base/index.ts';
import type { Messenger } from '../mesh/index.ts';
import { type Key, prefixEnd, type Store, type StoreSnapshot } from '../storage/index.ts';
import { readSpace, type Space } from './disk-layout.ts';
import { readState } from './machine/index.ts';
import type { SnapshotMeta } from './raft/index.ts';
import {
  parsePosition,
  SNAPSHOT_CHUNK_BYTES,
  type SnapshotChunk,
  type SnapshotInquiry,
  snapshotCrc,
} from './snapshot-wire.ts';

const CHUNK_TIMEOUT_MS = 10_000;
/** Rest after each chunk, as a share of the time that it took: the busier the machines and the line are, the longer. */
const REST_SHARE = 0.5;
/** Unit: ms. */
const REST_LIMIT_MS = 20;
/** After a cut a reading of the store is held open for so long, to go on with it; the store cannot reuse what it still shows. */
const HOLD_MS = 30_000;

/** Where a transfer stands: everything before chunk `number` has arrived. */
interface Position {
  readonly number: number;
  readonly from: Key;
  readonly crc: number;
}

interface Transfer {
  readonly id: number;
  readonly meta: SnapshotMeta;
  readonly space: Space;
  readonly view: StoreSnapshot;
  position: Position;
  isRunning: boolean;
  cutAtMs: number;
}

export interface SenderComponents {
  readonly store: Store;
  readonly messenger: Messenger;
  readonly random: Random;
  readonly clock: Clock;
}

/**
 * Sends the applied tables as they are on this disk, chunk by chunk, each acknowledged before the next and followed by a rest: memory
 * holds one chunk, a slow receiver slows its sender, and writes of the group go first. A transfer that was cut goes on where the receiver
 * says it is.
 */
export class SnapshotSender implements Disposable {
  readonly #components: SenderComponents;
  readonly #method: string;
  readonly #transfers = new Map<PeerId, Transfer>();

  constructor(components: SenderComponents, method: string) {
    this.#components = components;
    this.#method = method;
  }

  /** The oldest state on its way: whoever receives it needs the log after it. */
  get oldestIndex(): LogIndex | undefined {
    const indexes = [...this.#transfers.values()].map(({ meta }) => meta.index);
    return indexes.length === 0 ? undefined : (Math.min(...indexes) as LogIndex);
  }

  /**
   * @param firstIndex first one in the log: an older snapshot would leave a gap, and is begun anew.
   * @returns the index that the snapshot stands for. Rejects with what the receiver or the channel said.
   */
  async send(peer: PeerId, firstIndex: LogIndex, signal: AbortSignal): Promise<LogIndex> {
    const resumed = this.#resumable(peer, firstIndex);
    const transfer = resumed ?? this.#begin(peer);
    transfer.isRunning = true;
    try {
      if (resumed !== undefined) await this.#align(peer, transfer, signal);
      await this.#run(peer, transfer, signal);
    } catch (error) {
      transfer.isRunning = false;
      transfer.cutAtMs = this.#components.clock.monotonicMs();
      throw error;
    }
    this.#end(peer, transfer);
    return transfer.meta.index;
  }

  /** Lets go of transfers that were cut long ago. */
  tick(): void {
    const nowMs = this.#components.clock.monotonicMs();
    for (const [peer, transfer] of this.#transfers) {
      if (!transfer.isRunning && nowMs - transfer.cutAtMs > HOLD_MS) this.#end(peer, transfer);
    }
  }

  /** To be called when nothing runs any more. */
  [Symbol.dispose](): void {
    for (const [peer, transfer] of this.#transfers) this.#end(peer, transfer);
  }

  #resumable(peer: PeerId, firstIndex: LogIndex): Transfer | undefined {
    const transfer = this.#transfers.get(peer);
    if (transfer === undefined) return undefined;
    if (transfer.isRunning) throw new AspenError('CONFLICT', `a snapshot is on its way to ${peer}`);
    if (transfer.meta.index + 1 >= firstIndex) return transfer;
    this.#end(peer, transfer);
    return undefined;
  }

  #begin(peer: PeerId): Transfer {
    const { store, random, clock } = this.#components;
    const view = store.snapshot();
    const space = readSpace(view);
    const { index, term, configuration } = readState(view, space);
    const transfer: Transfer = {
      id: randomInt(random, { from: 0, to: 2 ** 32 }),
      meta: { index, term, configuration },
      space,
      view,
      position: { number: 0, from: space, crc: 0 },
      isRunning: false,
      cutAtMs: clock.monotonicMs(),
    };
    this.#transfers.set(peer, transfer);
    return transfer;
  }

  #end(peer: PeerId, transfer: Transfer): void {
    this.#transfers.delete(peer);
    transfer.view[Symbol.dispose]();
  }

  async #run(peer: PeerId, transfer: Transfer, signal: AbortSignal): Promise<void> {
    for (;;) {
      const startedMs = this.#components.clock.monotonicMs();
      const { chunk, after } = nextChunk(transfer);
      await this.#ask(peer, chunk, signal);
      if (after === undefined) return;
      transfer.position = after;
      await this.#rest(startedMs, signal);
    }
  }

  /** Processor, line and disks belong to the writes of the group first: a snapshot leaves them a third of the time. */
  async #rest(startedMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#components;
    const restMs = Math.min((clock.monotonicMs() - startedMs) * REST_SHARE, REST_LIMIT_MS);
    if (restMs > 0) await sleep(clock, restMs, signal);
  }

  /** The receiver has either what was acknowledged, or one chunk more, or has lost it all. */
  async #align(peer: PeerId, transfer: Transfer, signal: AbortSignal): Promise<void> {
    const next = await this.#ask(peer, { type: 'inquiry', transfer: transfer.id }, signal);
    const { number } = transfer.position;
    if (next === number) return;
    const { after } = nextChunk(transfer);
    if (next === number + 1 && after !== undefined) transfer.position = after;
    else transfer.position = { number: 0, from: transfer.space, crc: 0 };
  }

  async #ask(peer: PeerId, body: SnapshotChunk | SnapshotInquiry, signal: AbortSignal): Promise<number> {
    const { messenger } = this.#components;
    const options = { timeoutMs: CHUNK_TIMEOUT_MS, priority: 'bulk', signal } as const;
    const position = parsePosition(await messenger.request(peer, this.#method, body, options));
    if (position === undefined)
      throw new AspenError('CONFLICT', `${peer} does not say how far the snapshot got`);
    return position.next;
  }
}

function nextChunk({ id, meta, space, view, position }: Transfer): {
  chunk: SnapshotChunk;
  after: Position | undefined;
} {
  const { number, from } = position;
  const { records, next } = takeRecords(view.range({ from, to: prefixEnd(space) }), space);
  const crc = snapshotCrc(position.crc, records);
  const isLast = next === undefined;
  return {
    chunk: { type: 'chunk', transfer: id, number, meta, records, isLast, crc },
    after: isLast ? undefined : { number: number + 1, from: next, crc },
  };
}

function takeRecords(
  range: Iterable<readonly [Key, Uint8Array]>,
  space: Key,
): { records: [Key, Uint8Array][]; next: Key | undefined } {
  const records: [Key, Uint8Array][] = [];
  let bytes = 0;
  for (const [key, value] of range) {
    if (records.length > 0 && bytes + key.length + value.length > SNAPSHOT_CHUNK_BYTES) {
      return { records, next: key };
    }
    records.push([key.slice(space.length), value]);
    bytes += key.length + value.length;
  }
  return { records, next: undefined };
}
