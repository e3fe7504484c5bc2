import { type Clock, type Crypto, type Logger, OneByOne, type Timer } from '../base/index.ts';
import { type AuditFiles, fileName } from './audit-files.ts';
import { type AuditEvent, type AuditRecord, type ChainEnd, chainLine } from './chain.ts';
import type { Head } from './head.ts';
import { heal } from './heal.ts';
import { lastRecords, type Verified, verifyFiles, walkFile } from './walk.ts';

export interface AuditLogComponents {
  readonly files: AuditFiles;
  readonly clock: Clock;
  readonly crypto: Pick<Crypto, 'sha256'>;
  readonly log: Logger;
}

export interface AuditLogOptions {
  /** What comes within this time is written and synced together. Unit: ms. @default 100 */
  readonly gatherMs?: number;
  /** Lines of one write; so many are not waited for. @default 512 */
  readonly batchLinesLimit?: number;
  /** Lines that wait for a slow or full disk; what comes beyond is counted, and the next line says how many. @default 20_000 */
  readonly waitingLinesLimit?: number;
  /** After this a new file is begun. Unit: bytes. @default 8 MiB */
  readonly fileBytesLimit?: number;
  /** Files that are kept. @default 64 */
  readonly filesLimit?: number;
}

/** Latest lines that are kept in memory, for who follows. */
export const RECENT_LIMIT = 1_000;

interface Waiting {
  readonly event: AuditEvent;
  readonly at: string;
}

/**
 * What was done on this node: lines, each chained to the one before, in files of bounded size.
 *
 * - L6 Lines are in the order of `record`, and whoever awaits `flushed` knows that those given before are on disk, or that the disk refused them.
 * - L7 A disk that takes nothing stops nobody: what could not be written is counted, and the next line that can says how many are missing. What was
 *   written is not counted where only the note of it (the head) was refused: the next write notes it too, or the next start finds it (L4).
 */
export class AuditLog {
  readonly #components: AuditLogComponents;
  readonly #options: Required<AuditLogOptions>;
  #head: Head;
  #waiting: Waiting[] = [];
  #lostCount = 0;
  /** Said once for as long as it lasts: who writes the log may have no room either. */
  #isRefused = false;
  #recent: AuditRecord[] = [];
  #timer: Timer | undefined;
  /** One write, look or removal at a time. */
  readonly #turn = new OneByOne();

  private constructor(components: AuditLogComponents, options: AuditLogOptions, head: Head) {
    this.#components = components;
    this.#options = {
      gatherMs: 100,
      batchLinesLimit: 512,
      waitingLinesLimit: 20_000,
      fileBytesLimit: 8 * 2 ** 20,
      filesLimit: 64,
      ...options,
    };
    this.#head = head;
  }

  /** @throws Error when the directory cannot be read or written. */
  static async open(components: AuditLogComponents, options: AuditLogOptions = {}): Promise<AuditLog> {
    const { head, events } = await heal(components.crypto, components.files);
    const log = new AuditLog(components, options, head);
    for (const event of events) {
      components.log.warn(event, 'the audit log was not as it was left');
      log.record(event);
    }
    return log;
  }

  /** Takes a few microseconds and never throws; the line is written soon. */
  record(event: AuditEvent): void {
    const { clock } = this.#components;
    if (this.#waiting.length >= this.#options.waitingLinesLimit) {
      this.#lostCount += 1;
      return;
    }
    this.#waiting.push({ event, at: new Date(clock.wallMs()).toISOString() });
    if (this.#waiting.length >= this.#options.batchLinesLimit) void this.#writeInTurn();
    else this.#timer ??= clock.setTimer(this.#options.gatherMs, () => void this.#writeInTurn());
  }

  /** L6 */
  async flushed(): Promise<void> {
    await this.#writeInTurn();
  }

  /** Looks at all that is kept. */
  async verify(): Promise<Verified> {
    await this.flushed();
    const { crypto, files } = this.#components;
    return this.#turn.run(() => verifyFiles(crypto, files, this.#head));
  }

  /** @returns the latest lines, or those after a number, oldest first; at most `limit`, or {@link RECENT_LIMIT}. */
  async tail({
    limit,
    afterSeq,
  }: {
    readonly limit: number;
    readonly afterSeq?: number;
  }): Promise<AuditRecord[]> {
    await this.flushed();
    const most = Math.min(limit, RECENT_LIMIT);
    const isAfter = ({ seq }: AuditRecord) => afterSeq === undefined || seq > afterSeq;
    const isRecent =
      afterSeq !== undefined && afterSeq + 1 >= (this.#recent[0]?.seq ?? Number.MAX_SAFE_INTEGER);
    if (isRecent || afterSeq === this.#head.last.seq) return this.#recent.filter(isAfter).slice(0, most);
    const records = (await this.#turn.run(() => this.#lastOnDisk())).filter(isAfter);
    return afterSeq === undefined ? records.slice(-most) : records.slice(0, most);
  }

  /** All that was recorded is written, and nothing more is taken. */
  async close(): Promise<void> {
    await this.flushed();
    this.#timer?.cancel();
  }

  async #lastOnDisk(): Promise<AuditRecord[]> {
    const { files } = this.#components;
    let records: AuditRecord[] = [];
    for (const name of [...(await files.names())].reverse()) {
      if (records.length >= RECENT_LIMIT) break;
      const whole = await files.read(name);
      const bytes = name === this.#head.file ? whole.subarray(0, this.#head.bytes) : whole;
      records = [...lastRecords(bytes, RECENT_LIMIT - records.length), ...records];
    }
    return records;
  }

  #writeInTurn(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    return this.#turn.run(() => this.#write());
  }

  async #write(): Promise<void> {
    while (this.#waiting.length > 0 || this.#lostCount > 0) {
      const batch = this.#waiting.slice(0, this.#options.batchLinesLimit);
      this.#waiting = this.#waiting.slice(batch.length);
      const lostCount = this.#lostCount;
      this.#lostCount = 0;
      let isNewFile: boolean;
      try {
        isNewFile = await this.#append(lostCount === 0 ? batch : [this.#lostLine(lostCount), ...batch]);
      } catch (error) {
        this.#lostCount += lostCount + batch.length; // L7
        this.#refused(error, 'audit lines are not written');
        return;
      }
      try {
        if (isNewFile) await this.#prune();
        await this.#components.files.writeHead(JSON.stringify(this.#head));
        this.#taken();
      } catch (error) {
        this.#refused(error, 'the end of the audit log is not noted');
      }
    }
  }

  /** @throws what is no word of the disk. */
  #refused(error: unknown, message: string): void {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    const { log } = this.#components;
    const fields = { err: error, lostCount: this.#lostCount };
    if (this.#isRefused) log.debug(fields, message);
    else log.warn(fields, message);
    this.#isRefused = true;
  }

  #taken(): void {
    if (this.#isRefused) this.#components.log.info({}, 'the audit log is written again');
    this.#isRefused = false;
  }

  #lostLine(count: number): Waiting {
    const at = new Date(this.#components.clock.wallMs()).toISOString();
    return { event: { kind: 'audit.lost', count }, at };
  }

  /** @returns whether it began a new file. */
  async #append(batch: readonly Waiting[]): Promise<boolean> {
    const { files, crypto } = this.#components;
    let end: ChainEnd = this.#head.last;
    let text = '';
    const records: AuditRecord[] = [];
    for (const { event, at } of batch) {
      const chained = chainLine(crypto, end, { event, at });
      ({ end } = chained);
      text += `${chained.line}\n`;
      records.push({ ...event, seq: end.seq, at });
    }
    const bytes = Buffer.from(text);
    const isNew = this.#head.file === '' || this.#head.bytes + bytes.length > this.#options.fileBytesLimit;
    const file = isNew ? fileName(this.#head.last.seq + 1) : this.#head.file;
    const offset = isNew ? 0 : this.#head.bytes;
    await files.write(file, offset, bytes);
    this.#head = { ...this.#head, last: end, file, bytes: offset + bytes.length };
    this.#recent = [...this.#recent, ...records].slice(-RECENT_LIMIT);
    return isNew;
  }

  /** The head is written before a file is removed: a crash between the two leaves a file that the next start removes. */
  async #prune(): Promise<void> {
    const { files, crypto } = this.#components;
    const names = await files.names();
    const old = names.slice(0, Math.max(0, names.length - this.#options.filesLimit));
    if (old.length === 0) return;
    let { base } = this.#head;
    for (const file of old) base = walkFile(crypto, { file, bytes: await files.read(file) }, base).end;
    const head = { ...this.#head, base };
    await files.writeHead(JSON.stringify(head));
    this.#head = head;
    for (const file of old) await files.remove(file);
  }
}
