import { crc32 } from 'node:zlib';
import { AspenError, decode, encode } from '../base/index.ts';
import type { Key } from '../storage/index.ts';

const MAGIC = Buffer.from('ASPENBACKUP\n');
const VERSION = 1;
/** Length and checksum, 4 bytes each, before every frame. */
const FRAME_HEADER_BYTES = 8;
/** A frame holds one chunk of records, and the largest single record there can be. Unit: bytes. */
const FRAME_BYTES_LIMIT = 8 * 2 ** 20;

/** What a backup is of. */
export interface BackupHeader {
  readonly meshId: string;
  /** The node whose copy it is. */
  readonly peerId: string;
  readonly epoch: number;
  readonly index: number;
  readonly term: number;
  /** Of the agreed state machine: an older agent cannot read what a newer one agreed on. */
  readonly machineVersion: number;
  /** Wall time. Unit: ms. */
  readonly takenAtMs: number;
}

export type BackupRecord = readonly [key: Key, value: Uint8Array];

export type BackupFrame =
  | { readonly kind: 'header'; readonly header: BackupHeader }
  | { readonly kind: 'records'; readonly records: readonly BackupRecord[] }
  | { readonly kind: 'end'; readonly recordCount: number };

/**
 * Writes the frames of one backup, in order.
 *
 * - K4: each frame's checksum goes on from the one before, and the last frame tells how many records there are: a change, a loss, an exchange
 *   and a file cut short are all noticed.
 */
export class BackupEncoder {
  #crc = 0;
  #isBegun = false;

  frame(frame: BackupFrame): Uint8Array {
    const payload = encode(frame.kind === 'header' ? { ...frame, version: VERSION } : frame);
    this.#crc = crc32(payload, this.#crc);
    const head = Buffer.alloc(FRAME_HEADER_BYTES);
    head.writeUInt32BE(payload.length, 0);
    head.writeUInt32BE(this.#crc, 4);
    const begin = this.#isBegun ? Buffer.alloc(0) : MAGIC;
    this.#isBegun = true;
    return Buffer.concat([begin, head, payload]);
  }
}

/** Reads a backup piece by piece, as it arrives; memory holds one frame. */
export class BackupDecoder {
  #held: Buffer = Buffer.alloc(0);
  #crc = 0;
  #isBegun = false;
  #isEnded = false;
  #recordCount = 0;
  #offset = 0;

  /** @returns the frames that are complete now, checked. @throws AspenError CONFLICT naming the place when the backup is damaged. */
  push(bytes: Uint8Array): BackupFrame[] {
    this.#held = Buffer.concat([this.#held, bytes]);
    const frames: BackupFrame[] = [];
    if (!this.#isBegun && !this.#begin()) return frames;
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  /** @throws AspenError CONFLICT when the backup ends before it should. */
  end(): void {
    if (!this.#isEnded || this.#held.length > 0)
      throw this.#damaged(this.#isEnded ? 'goes on after its end' : 'is cut short');
  }

  #begin(): boolean {
    const length = Math.min(this.#held.length, MAGIC.length);
    if (!this.#held.subarray(0, length).equals(MAGIC.subarray(0, length)))
      throw this.#damaged('is not a backup of Aspen');
    if (this.#held.length < MAGIC.length) return false;
    this.#take(MAGIC.length);
    this.#isBegun = true;
    return true;
  }

  #next(): BackupFrame | undefined {
    if (this.#held.length < FRAME_HEADER_BYTES) return undefined;
    const length = this.#held.readUInt32BE(0);
    if (length > FRAME_BYTES_LIMIT || this.#isEnded) throw this.#damaged('is damaged');
    if (this.#held.length < FRAME_HEADER_BYTES + length) return undefined;
    const payload = this.#held.subarray(FRAME_HEADER_BYTES, FRAME_HEADER_BYTES + length);
    this.#crc = crc32(payload, this.#crc);
    if (this.#crc !== this.#held.readUInt32BE(4)) throw this.#damaged('does not match its checksum');
    const frame = decode(payload) as BackupFrame & { readonly version?: number };
    this.#check(frame);
    this.#take(FRAME_HEADER_BYTES + length);
    return frame;
  }

  /** The checksum holds, so these are our own words; what may differ is the version and the order. */
  #check(frame: BackupFrame & { readonly version?: number }): void {
    if ((frame.kind === 'header') !== (this.#offset === MAGIC.length))
      throw this.#damaged('has its frames out of order');
    if (frame.kind === 'header' && frame.version !== VERSION) {
      throw new AspenError(
        'CONFLICT',
        `the backup has version ${frame.version}, and this program knows version ${VERSION}`,
      );
    }
    if (frame.kind === 'records') this.#recordCount += frame.records.length;
    if (frame.kind !== 'end') return;
    if (frame.recordCount !== this.#recordCount) throw this.#damaged('lacks records');
    this.#isEnded = true;
  }

  #take(bytes: number): void {
    this.#held = this.#held.subarray(bytes);
    this.#offset += bytes;
  }

  #damaged(what: string): AspenError {
    return new AspenError(
      'CONFLICT',
      `the backup ${what} at byte ${this.#offset}; nothing of it was used: take another one`,
    );
  }
}
