import { isDeepStrictEqual } from 'node:util';
import {
  checkKv,
  checkLinearizable,
  type KvInput,
  type KvOutput,
  type Operation,
  type RegisterInput,
  type RegisterOutput,
  registerModel,
  registerPartition,
  type Verdict,
} from '../sim/check/index.ts';

export type RegisterOperation = Operation<RegisterInput, RegisterOutput>;

/** Search steps for one key; what needs more counts as a violation, since nothing was shown. */
const STEPS_LIMIT = 20_000_000;

/** @returns what no order of the operations explains. A history that could not be decided is named too. */
export function brokenRegisters(history: readonly RegisterOperation[]): string[] {
  return judged(() =>
    checkLinearizable(history, registerModel, { partitionOf: registerPartition, stepsLimit: STEPS_LIMIT }),
  );
}

/** The same for keys that are changed together. */
export function brokenTransactions(history: readonly Operation<KvInput, KvOutput>[]): string[] {
  return judged(() => checkKv(history, { stepsLimit: STEPS_LIMIT }));
}

function judged(check: () => Verdict): string[] {
  try {
    const verdict = check();
    return verdict.isLinearizable
      ? []
      : [`${verdict.partition} is not linearizable:\n  ${verdict.story.join('\n  ')}`];
  } catch (error) {
    return [`undecided: ${String(error)}`];
  }
}

/**
 * Reads that miss a write acknowledged before they were called, in keys that are never deleted. Revisions grow with every write, so one
 * comparison shows it, without any search.
 */
export function staleReads(history: readonly RegisterOperation[]): string[] {
  const writes = history.filter(({ input, result }) => {
    const isWrite = input.type === 'put' || (input.type === 'cas' && result?.output.isDone === true);
    return isWrite && result?.output.revision !== undefined;
  });
  return history.flatMap((read) => {
    if (read.input.type !== 'get' || read.result === undefined) return [];
    const seen = read.result.output.value === null ? 0 : (read.result.output.revision ?? 0);
    const missed = writes.find(
      ({ input, result }) =>
        input.key === read.input.key &&
        (result?.atMs ?? Number.POSITIVE_INFINITY) < read.calledMs &&
        (result?.output.revision ?? 0) > seen,
    );
    if (missed === undefined) return [];
    const { key } = read.input;
    return [
      `${read.client} read revision ${seen} of ${key} at ${read.calledMs.toFixed(1)} ms, after ${missed.result?.output.revision} was acknowledged`,
    ];
  });
}

/** @param found per agent, the elements that it has at the end. */
export function lostElements(
  acknowledged: Iterable<string>,
  found: ReadonlyMap<string, ReadonlySet<string>>,
): string[] {
  if (found.size === 0) return ['no agent was asked for the set'];
  return [...acknowledged].flatMap((element) =>
    [...found]
      .filter(([, elements]) => !elements.has(element))
      .map(([agent]) => `${element} was acknowledged and is not on ${agent}`),
  );
}

/** A job as an agent shows it at the end; what the checks look at. */
export interface FinalJob {
  readonly id: string;
  readonly state: string;
  readonly attempt: number;
  readonly fencingToken: number;
  readonly history: readonly Record<string, unknown>[];
}

/** One line that a running attempt wrote itself. */
export interface Execution {
  readonly job: string;
  readonly attempt: number;
  readonly token: number;
}

const FINAL_STATES: readonly string[] = ['succeeded', 'dead', 'cancelled', 'skipped'];

/**
 * Every accepted job has ended, the same at every agent; its attempts have growing numbers and tokens and one success at most; no attempt
 * was started twice, and the one that succeeded was started.
 */
export function brokenJobs(
  accepted: Iterable<string>,
  seen: ReadonlyMap<string, ReadonlyMap<string, FinalJob>>,
  executions: readonly Execution[],
): string[] {
  const broken = [...accepted].flatMap((id) => {
    const views = [...seen].map(([agent, jobs]) => ({ agent, job: jobs.get(id) }));
    const first = views[0]?.job;
    if (first === undefined) return [`${id} was accepted and is nowhere`];
    const different = views.filter(({ job }) => !isDeepStrictEqual(job, first));
    return [
      ...different.map(({ agent }) => `${id} is told differently by ${agent}`),
      ...brokenJob(first),
      ...unexecuted(first, executions),
    ];
  });
  return [...broken, ...startedTwice(executions)];
}

function brokenJob({ id, state, history }: FinalJob): string[] {
  const broken = FINAL_STATES.includes(state) ? [] : [`${id} was accepted and is ${state}`];
  const successes = history.filter(({ outcome }) => outcome === 'succeeded');
  if (successes.length !== (state === 'succeeded' ? 1 : 0))
    broken.push(`${id} is ${state} with ${successes.length} attempts that succeeded`);
  if (successes.length === 1 && history.at(-1)?.['outcome'] !== 'succeeded')
    broken.push(`${id} succeeded, and went on after that`);
  for (const [at, past] of history.entries()) {
    const before = history[at - 1];
    if (before === undefined) continue;
    for (const field of ['attempt', 'fencingToken'])
      if (!(Number(past[field]) > Number(before[field])))
        broken.push(`${id}: ${field} is ${past[field]} after ${before[field]}`);
  }
  return broken;
}

function unexecuted({ id, history }: FinalJob, executions: readonly Execution[]): string[] {
  return history
    .filter(({ outcome }) => outcome === 'succeeded')
    .filter(
      ({ fencingToken }) =>
        !executions.some(({ job, token }) => job === id && token === Number(fencingToken)),
    )
    .map(({ attempt }) => `${id} succeeded with attempt ${attempt}, which never ran`);
}

function startedTwice(executions: readonly Execution[]): string[] {
  const seen = new Set<string>();
  return executions.flatMap(({ job, attempt, token }) => {
    const key = `${job} attempt ${attempt} token ${token}`;
    if (seen.has(key)) return [`${key} was started twice`];
    seen.add(key);
    return [];
  });
}
