import { AspenError, type Logger, type PeerId } from '../base/index.ts';
import type { BlobId, Blobs, Upload } from '../blobs/index.ts';
import { type OutputKeeper, RECORDED_BYTES, type WholeOutput } from '../jobs/index.ts';
import type { OutputStream } from '../supervisor/index.ts';

export interface OutputBlobsComponents {
  readonly blobs: Pick<Blobs, 'store' | 'replicate'>;
  readonly log: Logger;
  /** Linked nodes that may be asked for a copy. */
  readonly candidates: () => readonly PeerId[];
}

export interface OutputBlobsOptions {
  /** How long a node keeps the whole output of a job, where the job is on record for so long. Unit: ms. */
  readonly retentionMs: number;
  /** Nodes that keep it, this one included, where so many are linked and take it. @default 1 */
  readonly replicas?: number;
}

/** Attempts whose output is copied at a time; each has a page and a chunk of each stream in memory. Further ones, no more than slots, wait. */
const AT_ONCE_LIMIT = 4;
const PAGE_BYTES = 256 * 1024;
/** Nodes that are asked for each copy that is wanted, one after the other. */
const ASKED_PER_COPY = 3;
/** How long each may take. Unit: ms. */
const COPY_TIMEOUT_MS = 30_000;

type Name = Parameters<OutputKeeper['keep']>[0];
type Source = Parameters<OutputKeeper['keep']>[1];

/**
 * O5, O6: output too long for a record, as blobs of the node that ran the job, one for each stream. Where its owner wants them on further nodes, they are
 * there before the result is told, as far as nodes are linked that take them; an end of a job is not held up for ever by those that do not.
 */
export class OutputBlobs implements OutputKeeper {
  readonly #components: OutputBlobsComponents;
  readonly #retentionMs: number;
  readonly #replicas: number;
  #copiedCount = 0;
  #runningCount = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(components: OutputBlobsComponents, { retentionMs, replicas = 1 }: OutputBlobsOptions) {
    this.#components = components;
    this.#retentionMs = retentionMs;
    this.#replicas = replicas;
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
    if (this.#replicas > 1) await this.#copy(id, jobId);
    return id;
  }

  /** Each output begins with another node, so that not one of them gets them all. */
  async #copy(id: BlobId, jobId: string): Promise<void> {
    const { blobs, candidates, log } = this.#components;
    const all = candidates();
    const first = all.length === 0 ? 0 : this.#copiedCount++ % all.length;
    const count = this.#replicas - 1;
    const copies = await blobs.replicate(id, {
      ...{ count, jobId, keptForMs: this.#retentionMs, timeoutMs: COPY_TIMEOUT_MS },
      candidates: [...all.slice(first), ...all.slice(0, first)].slice(0, count * ASKED_PER_COPY),
    });
    if (copies.length < count)
      log.warn(
        { jobId, id, copies: copies.length + 1, wanted: this.#replicas },
        'an output has fewer copies than wanted',
      );
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
