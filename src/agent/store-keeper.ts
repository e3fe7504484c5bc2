import { z } from 'zod';
import { AspenError } from '../base/index.ts';
import { markObjection, readMark, type StoreMark } from '../lease/index.ts';
import { BIRTH_KEY, CheckedStore, prefixEnd, StorageFault, type Store } from '../storage/index.ts';
import type { Platform } from './platform.ts';

const LOSS_FILE = 'disk-loss';
const COPIES_FILE = 'copies';
const MARK_FILE = 'store-mark';

/** What became of this node's store, until the group has taken the node in again. */
export interface DiskLoss {
  readonly reason: string;
  /** Unit: ms of wall time. */
  readonly atMs: number;
  /** Where the damaged store lies; null before it was moved, or when nothing was there to be moved. */
  readonly quarantine: string | null;
  readonly isMoved: boolean;
  readonly wasOnlyCopy: boolean;
}

/** A store to run on, and whether it is an empty one in place of a lost one. */
export interface OpenedStore {
  readonly store: Store;
  readonly loss: DiskLoss | undefined;
}

const lossSchema = z.object({
  version: z.literal(1),
  reason: z.string(),
  atMs: z.number(),
  quarantine: z.string().nullable(),
  isMoved: z.boolean(),
  wasOnlyCopy: z.boolean(),
});
const copiesSchema = z.object({
  version: z.literal(1),
  voters: z.array(z.string()),
  standbys: z.array(z.string()),
});
const markSchema = z.object({
  version: z.literal(1),
  owner: z.object({ incarnation: z.string(), bootCount: z.int().min(0) }),
  epoch: z.object({ number: z.int().min(1), by: z.string() }),
  term: z.int().min(0),
  commitIndex: z.int().min(0),
});

/**
 * Opens this node's store, and decides what a lost one means.
 *
 * - R1: a store that is damaged, gone, or not known to be this node's is never run on: what it was is moved aside, and the node begins with
 *   an empty one and a new incarnation, as one that lost its memory.
 * - R2: the loss is on disk before the store is moved, and stays there until the group has taken the node in again, so that no crash in
 *   between lets an empty store pass for one that remembers its votes.
 * - R3: the only copy of the agreed state is never begun anew: the agent does not start.
 * - R4: a store that has less than was noted beside it is an older copy that somebody put back, and counts as lost. Where it is the only
 *   copy there is nobody to get more from: it is run on, and this is said.
 */
export class StoreKeeper {
  readonly #platform: Platform;
  readonly #onDamage: (fault: StorageFault) => void;
  #marked = '';

  /** @param onDamage told once when a running store turns out to be damaged: the process must end, and the next start sets it aside. */
  constructor(platform: Platform, onDamage: (fault: StorageFault) => void) {
    this.#platform = platform;
    this.#onDamage = onDamage;
  }

  /**
   * @param isNew this node holds nothing of its mesh yet, so that an empty store is as it should be.
   * @throws AspenError INTERNAL when the only copy is lost; StorageFault when there is no room or the disk fails.
   */
  async open({ isNew }: { readonly isNew: boolean }): Promise<OpenedStore> {
    const known = await this.loss();
    if (known !== undefined) return this.#beginAnew(known);
    let store: CheckedStore | undefined;
    try {
      store = await this.#openChecked();
      if (store.get(BIRTH_KEY) !== undefined) {
        await this.#checkMark(store);
        return { store, loss: undefined };
      }
      if (!isNew) throw new StorageFault('damaged', whatIsMissing(store));
      await writeBirth(store);
      return { store, loss: undefined };
    } catch (error) {
      await store?.[Symbol.asyncDispose]();
      if (!(error instanceof StorageFault) || error.kind !== 'damaged') throw error;
      return this.#beginAnew(await this.note(error));
    }
  }

  /** R2: what a running agent met; its next start sets the store aside. */
  async note(fault: StorageFault): Promise<DiskLoss> {
    const loss: DiskLoss = {
      reason: fault.message,
      atMs: this.#platform.clock.wallMs(),
      quarantine: null,
      isMoved: false,
      wasOnlyCopy: await this.#isOnlyCopy(),
    };
    await this.#write(loss);
    return loss;
  }

  async loss(): Promise<DiskLoss | undefined> {
    return this.#read(LOSS_FILE, lossSchema);
  }

  /** The group has taken this node in again. */
  async settle(store: Store): Promise<void> {
    await writeBirth(store);
    await this.#platform.directory.removeFile(LOSS_FILE);
  }

  /** Before a mesh is entered: what was known of the store in another one means nothing here. */
  async reset(): Promise<void> {
    for (const name of [COPIES_FILE, LOSS_FILE, MARK_FILE]) await this.#platform.directory.removeFile(name);
  }

  /** Remembers outside of the store who else holds the agreed state. Only a change costs a write. */
  async noteCopies(copies: {
    readonly voters: readonly string[];
    readonly standbys: readonly string[];
  }): Promise<void> {
    const bytes = new Uint8Array(Buffer.from(JSON.stringify({ version: 1, ...copies })));
    await this.#platform.directory.writeFileAtomic(COPIES_FILE, bytes);
  }

  /** R4: remembers outside of the store how far it has come. Only a change costs a write. */
  async noteMark(store: Store): Promise<void> {
    const mark = readMark(store);
    const text = JSON.stringify({ version: 1, ...mark });
    if (mark === undefined || text === this.#marked) return;
    this.#marked = text;
    await this.#platform.directory.writeFileAtomic(MARK_FILE, new Uint8Array(Buffer.from(text)));
  }

  /** @throws StorageFault `damaged` when it is an older copy and others hold more. */
  async #checkMark(store: Store): Promise<void> {
    const noted = await this.#read(MARK_FILE, markSchema);
    if (noted === undefined) return;
    const objection = markObjection(readMark(store), noted as unknown as StoreMark);
    if (objection === null) return;
    const reason = `the store of this node ${objection}`;
    if (!(await this.#isOnlyCopy())) throw new StorageFault('damaged', reason);
    this.#platform.logger.warn(
      { reason },
      'an older copy of the only store was put back: what came after it is lost',
    );
  }

  /** R1, R2, R3 */
  async #beginAnew(noted: DiskLoss): Promise<OpenedStore> {
    const loss = noted.isMoved ? noted : await this.#moveAside(noted);
    if (loss.wasOnlyCopy) throw onlyCopyLost(loss, this.#platform.directory.path);
    try {
      return { store: await this.#openChecked(), loss };
    } catch (error) {
      if (!noted.isMoved || !(error instanceof StorageFault) || error.kind !== 'damaged') throw error;
      return this.#beginAnew(await this.#noteAgain(noted, error)); // the store that was begun in its place is damaged too
    }
  }

  async #noteAgain(noted: DiskLoss, fault: StorageFault): Promise<DiskLoss> {
    const loss = { ...noted, reason: fault.message, isMoved: false };
    await this.#write(loss);
    return loss;
  }

  async #moveAside(noted: DiskLoss): Promise<DiskLoss> {
    const { directory, logger } = this.#platform;
    const quarantine = await this.#platform.quarantineStore(noted.reason);
    await directory.renewIncarnation();
    await directory.removeFile(MARK_FILE);
    const loss = { ...noted, quarantine, isMoved: true };
    await this.#write(loss);
    logger.error(
      { reason: loss.reason, quarantine },
      'the store of this node was damaged and is set aside; the node comes back as a learner and gets everything from the others',
    );
    return loss;
  }

  async #openChecked(): Promise<CheckedStore> {
    return new CheckedStore({ store: await this.#platform.openStore(), onDamage: this.#onDamage });
  }

  async #isOnlyCopy(): Promise<boolean> {
    const copies = await this.#read(COPIES_FILE, copiesSchema);
    return copies !== undefined && copies.voters.length === 1 && copies.standbys.length === 0;
  }

  async #write(loss: DiskLoss): Promise<void> {
    const bytes = new Uint8Array(Buffer.from(JSON.stringify({ version: 1, ...loss })));
    await this.#platform.directory.writeFileAtomic(LOSS_FILE, bytes);
  }

  async #read<T>(name: string, schema: z.ZodType<T>): Promise<T | undefined> {
    const { directory } = this.#platform;
    const bytes = await directory.readFile(name);
    if (bytes === undefined) return undefined;
    try {
      return schema.parse(JSON.parse(Buffer.from(bytes).toString('utf8')));
    } catch (cause) {
      throw new AspenError(
        'INTERNAL',
        `${directory.path}/${name} is damaged: move it out of the data directory; where the store was set aside lately, restore a backup instead`,
        { cause },
      );
    }
  }
}

async function writeBirth(store: Store): Promise<void> {
  await store.write([{ type: 'put', key: BIRTH_KEY, value: Uint8Array.of(1) }]);
}

function whatIsMissing(store: Store): string {
  const [first] = store.range({ from: '\u0000', to: prefixEnd('\u00fe'), limit: 1 });
  return first === undefined
    ? 'the store of this node is gone: it is empty, and this node is a member of a mesh'
    : 'the store of this node has lost the record of its beginning';
}

function onlyCopyLost({ reason, quarantine }: DiskLoss, path: string): AspenError {
  return new AspenError(
    'INTERNAL',
    `the only copy of the mesh's agreed state, in ${path}, is lost: ${reason}. ` +
      `${quarantine === null ? 'Nothing was there to be kept' : `It is kept for inspection in ${quarantine}`}; this agent does not begin anew in its place. ` +
      'Ways out: `aspen-agent restore FILE --data-dir NEW-DIR` from a backup; `aspen-agent group recover` on another node that once held a copy; ' +
      'or, to give up what was there, move the data directory away and found or join a mesh anew',
  );
}
