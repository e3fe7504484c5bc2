import { AspenError, type Logger } from '../base/index.ts';
import type { Blobs, Upload } from '../blobs/index.ts';
import { type OutputKeeper, RECORDED_BYTES, type WholeOutput } from '../jobs/index.ts';
import type { OutputStream } from '../supervisor/index.ts';

export interface OutputBlobsComponents {
  readonly blobs: Pick<Blobs, 'store'>;
  readonly log: Logger;
}

export interface OutputBlobsOptions {
  /** How long a node keeps the whole output of a job, where the job is on record for so long. Unit: ms. */
  readonly retentionMs: number;
}

/** Attempts whose output is copied at a time; each has a page and a chunk of each stream in memory. Further ones, no more than slots, wait. */
const AT_ONCE_LIMIT = 4;
const PAGE_BYTES = 256 * 1024;

type Name = Parameters<OutputKeeper['keep']>[0];
type Source = Parameters<OutputKeeper['keep']>[1];

/** O5, O6: output too long for a record, as blobs of the node that ran the job, one for each stream. */
export class OutputBlobs implements OutputKeeper {
  readonly #components: OutputBlobsComponents;
  readonly #retentionMs: number;
  #runningCount = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(components: OutputBlobsComponents, { retentionMs }: OutputBlobsOptions) {
    this.#components = components;
    this.#retentionMs = retentionMs;
  }

  async keep(name: Name, source: Source, streams: readonly OutputStream[]): Promise<WholeOutput> {
    if (this.#runningCount >= AT_ONCE_LIMIT)
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#runningCount += 1;
    const uploads = new Map(streams.map((stream) => [stream, this.#components.blobs.store.begin()]));
    const kept: { stdoutBlob?: string; stderrBlob?: string } = {};
    try {
      await copy(source, uploads);
      for (const [stream, upload] of uploads)
        if (upload.sizeBytes > RECORDED_BYTES)
          kept[`${stream}Blob`] = await this.#commit(name, stream, upload);
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      const { jobId, attempt } = name;
      this.#components.log.warn({ err, jobId, attempt }, 'the whole output of an attempt is not kept');
    } finally {
      for (const upload of uploads.values()) await this.#abort(upload);
      this.#next();
    }
    return kept;
  }

  async #commit({ jobId, attempt }: Name, stream: OutputStream, upload: Upload): Promise<string> {
    const name = `${stream} of attempt ${attempt} of ${jobId}`;
    const { id } = await upload.commit({ name, jobId, keptForMs: this.#retentionMs });
    return id;
  }

  /** What a disk does not let go is removed as an orphan at the next start. */
  async #abort(upload: Upload): Promise<void> {
    try {
      await upload.abort();
    } catch (err) {
      if (!(err instanceof AspenError)) throw err;
      this.#components.log.debug({ err }, 'an upload was not removed');
    }
  }

  /** Whoever waits longest takes the place. */
  #next(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#runningCount -= 1;
    else next();
  }
}

async function copy(source: Source, uploads: ReadonlyMap<OutputStream, Upload>): Promise<void> {
  const page = new Uint8Array(PAGE_BYTES); // one for all, or what was read would stay until it is collected
  for (let offset = 0; ; ) {
    const { chunks, nextOffset } = await source.readOutput(offset, PAGE_BYTES, page);
    for (const { stream, data } of chunks) await uploads.get(stream)?.write(data);
    if (nextOffset === offset) return;
    offset = nextOffset;
  }
}
