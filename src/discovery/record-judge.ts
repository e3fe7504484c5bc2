import { AspenError, type Clock, type Logger, type PeerId } from '../base/index.ts';
import type { RecordShelf } from './record-shelf.ts';
import { isOfNow } from './table-rules.ts';

/** Where a member was reached, as it signed. */
export interface SignedAddresses {
  readonly peerId: PeerId;
  readonly addresses: readonly string[];
  /** Wall time. */
  readonly issuedAtMs: number;
}

/** How records are named, made and checked: the mesh's own statements. */
export interface AddressRecords {
  /** 32 bytes. */
  readonly meshName: Uint8Array;
  nameOf(peerId: PeerId): string;
  sign(addresses: readonly string[], issuedAtMs: number): Uint8Array;
  /** @throws AspenError DENIED */
  verify(record: Uint8Array): SignedAddresses;
}

export interface RecordJudgeComponents {
  readonly records: AddressRecords;
  readonly shelf: RecordShelf;
  readonly clock: Clock;
  readonly log: Logger;
  readonly isMember: (peerId: PeerId) => boolean;
}

/**
 * Decides which records count.
 *
 * - H3 Only a record counts that the member itself signed, lately, for this mesh, under the name that follows from both.
 */
export class RecordJudge {
  readonly #components: RecordJudgeComponents;

  constructor(components: RecordJudgeComponents) {
    this.#components = components;
  }

  /** H2, H3 @throws AspenError DENIED */
  check(name: string, bytes: Uint8Array): SignedAddresses {
    const { records, isMember, clock, shelf } = this.#components;
    const record = records.verify(bytes);
    const { peerId, issuedAtMs } = record;
    if (records.nameOf(peerId) !== name) throw denied(`${peerId} has another name`);
    if (!isMember(peerId)) throw denied(`${peerId} is no member`);
    if (!isOfNow(issuedAtMs, clock.wallMs())) throw denied('it is too old, or of a time to come');
    if (!shelf.isLatest(name, issuedAtMs)) throw denied('there is a later one');
    return record;
  }

  /** @returns the latest of those that count; undefined when none does. */
  latest(name: string, told: readonly Uint8Array[]): SignedAddresses | undefined {
    const [latest] = told
      .flatMap((bytes) => this.#readable(name, bytes))
      .toSorted((left, right) => right.issuedAtMs - left.issuedAtMs);
    return latest;
  }

  #readable(name: string, bytes: Uint8Array): readonly SignedAddresses[] {
    try {
      return [this.check(name, bytes)];
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.#components.log.debug({ err }, 'a record that does not count was told');
      return [];
    }
  }
}

function denied(reason: string): AspenError {
  return new AspenError('DENIED', `the record does not count: ${reason}`);
}
