import type { LogIndex, PeerId, Term } from '../base/index.ts';
import { type Store, type Write, WriteBuffer } from '../storage/index.ts';
import type { BackupHeader, BackupRecord } from './backup-format.ts';
import { putHardState, putLogBase, putSpace, readSpace } from './disk-layout.ts';
import { encodeState, readState, stateKey } from './machine/index.ts';
import type { Configuration } from './raft/index.ts';

/** Tables that belong to the mesh that was: who its members are, its tickets, its sealed root key. */
const MESH_TABLES = 'members/';
const SPACE = 't0/';

/**
 * Builds the store of a new mesh's only voter out of a backup.
 *
 * - Q2: what is restored is the group of another mesh, one epoch later, with one voter that no other node knows: no voter of a living group
 *   comes of it. Positions and fencing tokens go on above all that were ever given before.
 *
 * The store counts for nothing before `finish` resolves: until then it has no configuration.
 */
export class RestoredStore {
  readonly #store: Store;
  readonly #header: BackupHeader;
  #kept = 0;

  constructor(store: Store, header: BackupHeader) {
    this.#store = store;
    this.#header = header;
  }

  /** How many records were taken over. */
  get recordCount(): number {
    return this.#kept;
  }

  async add(records: readonly BackupRecord[]): Promise<void> {
    const kept = records.filter(([key]) => !key.startsWith(MESH_TABLES));
    this.#kept += kept.length;
    await this.#store.write(kept.map(([key, value]): Write => ({ type: 'put', key: SPACE + key, value })));
  }

  /** @param self the only voter. @returns the epoch that begins. */
  async finish(self: PeerId): Promise<number> {
    const configuration: Configuration = { voters: [self], outgoing: [], learners: [] };
    const index = this.#header.index as LogIndex;
    const term = this.#header.term as Term;
    const buffer = new WriteBuffer(this.#store);
    const state = readState(buffer, readSpace(buffer));
    const epoch = Math.max(state.epoch, this.#header.epoch) + 1;
    buffer.put(stateKey(SPACE), encodeState({ ...state, epoch, configuration }));
    putLogBase(buffer, { index, term, configuration, crc: 0 });
    putHardState(buffer, { term, votedFor: null, commitIndex: index });
    putSpace(buffer, SPACE);
    await buffer.flush();
    return epoch;
  }
}
