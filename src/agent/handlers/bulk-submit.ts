import { AspenError, mapAtMost, OneByOne, roughBytes } from '../../base/index.ts';
import { SLICE_JOBS, type SubmitResult, submitInParts, submitInSlices } from '../../jobs/index.ts';
import { checkJobSpec, type Result, toRpcError } from '../../rpc/index.ts';
import type { Daemon } from '../daemon.ts';
import { accepted, hasLongPayload, keepPayload, type PreparedJob, prepare, submit } from './job-intake.ts';

type Results = Result<'job.submitMany'>['results'];

/** Bulks of jobs, as one agent takes them in: all at once, or slice by slice where that holds up others. */
export class BulkSubmit {
  readonly #daemon: Daemon;
  /** Slices of all bulks: one of them at each lull. */
  readonly #turns = new OneByOne();

  constructor(daemon: Daemon) {
    this.#daemon = daemon;
  }

  /** What cannot be prepared is answered in its place, the rest is submitted. @throws AspenError when nothing was. */
  async submit(jobs: readonly unknown[], requestId: string | undefined): Promise<Results> {
    return mayBeSliced(jobs) ? await this.#inSlices(jobs, requestId) : await this.#atOnce(jobs, requestId);
  }

  async #atOnce(jobs: readonly unknown[], requestId: string | undefined): Promise<Results> {
    const checked = jobs.map(check);
    const given = checked.some((item) => 'value' in item && hasLongPayload(item.value))
      ? await keepPayloads(this.#daemon, checked)
      : checked;
    const prepared = given.map((item) => this.#prepare(item));
    return resultsOf(prepared, await this.#submitAll(valuesOf(prepared), requestId));
  }

  async #inSlices(jobs: readonly unknown[], requestId: string | undefined): Promise<Results> {
    const prepared: Attempted<PreparedJob>[] = [];
    const prepareNext = () => {
      const slice = jobs.slice(prepared.length, prepared.length + SLICE_JOBS);
      const ready = slice.map((job) => this.#prepare(check(job)));
      prepared.push(...ready);
      return valuesOf(ready);
    };
    const slices = {
      count: Math.ceil(jobs.length / SLICE_JOBS),
      prepare: prepareNext,
      propose: (slice: readonly PreparedJob[], at: number) =>
        submit(this.#daemon, slice, this.#partRequestId(requestId, at)),
      nextTurn: () => this.#turns.run(this.#daemon.platform.lull ?? atOnce),
    };
    const outcome = await submitInSlices(slices, requestId !== undefined);
    if (outcome !== undefined) return resultsOf(prepared, outcome);
    while (prepared.length < jobs.length) prepareNext();
    return resultsOf(prepared, await this.#submitAll(valuesOf(prepared), requestId)); // J9
  }

  #prepare(item: Checked): Attempted<PreparedJob> {
    return 'error' in item ? item : attempt(() => prepare(this.#daemon, item.value));
  }

  /** @returns an outcome for each, in order, also of more than one command takes. */
  async #submitAll(
    jobs: readonly PreparedJob[],
    requestId: string | undefined,
  ): Promise<readonly SubmitResult[]> {
    if (jobs.length === 0) return [];
    try {
      const results = await submit(this.#daemon, jobs, requestId);
      if (results.length === jobs.length) return results;
    } catch (error) {
      if (!(error instanceof AspenError) || error.details['limit'] !== 'COMMAND_BYTES_LIMIT') throw error;
    }
    return await submitInParts(jobs, (part, at) =>
      submit(this.#daemon, part, this.#partRequestId(requestId, at)),
    );
  }

  /** @returns the same for a repetition, and none that a program gives itself. */
  #partRequestId(requestId: string | undefined, at: number): string | undefined {
    if (requestId === undefined || at === 0) return requestId;
    const { crypto } = this.#daemon.platform;
    const named = crypto.sha256(Buffer.from(JSON.stringify(['aspen part of a submit', requestId, at])));
    return Buffer.from(named).toString('hex');
  }
}

const atOnce = (): Promise<void> => Promise.resolve();

/** Also in characters of three bytes it fits a command. */
const SLICED_BYTES = 2 ** 20;

/** Not where jobs may name each other, which takes one command; nor what is so long that it goes in parts, which a repetition finds again (J9). */
function mayBeSliced(jobs: readonly unknown[]): boolean {
  return jobs.length > SLICE_JOBS && !jobs.some(isSpecial) && roughBytes(jobs) <= SLICED_BYTES;
}

function isSpecial(job: unknown): boolean {
  return typeof job === 'object' && job !== null && ('dependsOn' in job || hasLongPayload(job));
}

function check(job: unknown): Checked {
  return attempt(() => checkJobSpec(job));
}

function valuesOf(prepared: readonly Attempted<PreparedJob>[]): PreparedJob[] {
  return prepared.flatMap((item) => ('value' in item ? [item.value] : []));
}

/** @param submitted outcomes of those that could be prepared. @returns one for each, in order. */
function resultsOf(prepared: readonly Attempted<PreparedJob>[], submitted: readonly SubmitResult[]): Results {
  let next = 0;
  return prepared.map((item) => {
    if ('error' in item) return { error: toRpcError(item.error) };
    const result = attempt(() => accepted(submitted[next++] as SubmitResult));
    return 'error' in result ? { error: toRpcError(result.error) } : result.value;
  });
}

type Checked = Attempted<ReturnType<typeof checkJobSpec>>;

/**
 * Blobs of one bulk that are kept at a time: each waits for the disk several times and for another node, and all of them fit a line.
 */
const PAYLOADS_AT_ONCE = 16;

function keepPayloads(daemon: Daemon, checked: readonly Checked[]): Promise<Checked[]> {
  return mapAtMost(PAYLOADS_AT_ONCE, checked, async (item) =>
    'value' in item ? await keepOne(daemon, item) : item,
  );
}

async function keepOne(daemon: Daemon, item: Extract<Checked, { value: unknown }>): Promise<Checked> {
  if (!hasLongPayload(item.value)) return item;
  try {
    return { value: await keepPayload(daemon, item.value) };
  } catch (error) {
    if (error instanceof AspenError) return { error };
    throw error;
  }
}

type Attempted<T> = { readonly value: T } | { readonly error: AspenError };

function attempt<T>(work: () => T): Attempted<T> {
  try {
    return { value: work() };
  } catch (error) {
    if (error instanceof AspenError) return { error };
    throw error;
  }
}
