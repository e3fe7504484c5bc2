import { randomBytes } from 'node:crypto';
import { InvalidArgumentError } from 'commander';
import type { Result } from '../rpc/index.ts';
import type { CommandContext } from './command.ts';
import { wrongUsage } from './failure.ts';
import { parseJson } from './json-text.ts';
import type { Output } from './output.ts';
import { formatTable } from './table.ts';

/** Jobs that one command hands over; as many as one request of the socket takes. */
const JOBS_LIMIT = 10_000;
/** Jobs of one request: what a request says of many stays well below the longest line. */
const REQUEST_JOBS = 500;

type Spec = Readonly<Record<string, unknown>>;
export type Submitted = Result<'job.submitMany'>['results'][number];

/** For commander: `FROM-TO`, both included. */
export function arrayRange(text: string): readonly number[] {
  const [, from = '', to = ''] = /^(\d{1,9})-(\d{1,9})$/.exec(text) ?? [];
  if (to === '') throw new InvalidArgumentError(`"${text}" is not FROM-TO, like 1-100`);
  const count = Number(to) - Number(from) + 1;
  if (count < 1) throw new InvalidArgumentError(`"${text}" ends before it begins`);
  if (count > JOBS_LIMIT) throw new InvalidArgumentError(`"${text}" names more than ${JOBS_LIMIT} jobs`);
  return Array.from({ length: count }, (_, at) => Number(from) + at);
}

/**
 * One job for each index. Ids, and idempotency keys, are those of the whole with the index behind them, so that submitting the same array
 * again adds nothing. The index is in the environment of a program as ASPEN_ARRAY_INDEX, elsewhere in the payload as `arrayIndex`.
 */
export function specsOfArray(spec: Spec, indexes: readonly number[]): readonly Spec[] {
  const name = (spec['id'] as string | undefined) ?? `job_${randomBytes(10).toString('hex')}`;
  const key = spec['idempotencyKey'];
  const labels = { ...(spec['labels'] as object | undefined), 'aspen.array': name };
  return indexes.map((index) => ({
    ...spec,
    id: `${name}-${index}`,
    labels,
    payload: payloadAt(spec, index),
    ...(key !== undefined && { idempotencyKey: `${key}-${index}` }),
  }));
}

function payloadAt({ type, payload = {} }: Spec, index: number): object {
  if (typeof payload !== 'object' || payload === null || Array.isArray(payload)) {
    throw wrongUsage('the payload of an array of jobs must be an object: each job finds its index there');
  }
  if (type !== 'shell') return { ...payload, arrayIndex: index };
  const env = (payload as { readonly env?: object }).env;
  return { ...payload, env: { ...env, ASPEN_ARRAY_INDEX: String(index) } };
}

/** Jobs may name each other as parents where one request holds them all, which they do up to 500. @returns one answer for each job, in order. */
export async function submitMany(
  { call }: CommandContext,
  specs: readonly Spec[],
): Promise<readonly Submitted[]> {
  const results: Submitted[] = [];
  for (let at = 0; at < specs.length; at += REQUEST_JOBS) {
    const answered = await call('job.submitMany', { jobs: specs.slice(at, at + REQUEST_JOBS) });
    results.push(...answered.results);
  }
  return results;
}

/** What was refused is told for each job; the command has failed when anything was. */
export function submittedManyOutput(
  { tell }: Pick<CommandContext, 'tell'>,
  results: readonly Submitted[],
): Output {
  const refused = results.flatMap((result, at) => ('error' in result ? [{ at, ...result.error }] : []));
  for (const { at, message } of refused) tell(`aspen-agent: job ${at + 1} of ${results.length}: ${message}`);
  const accepted = results.flatMap((result) => ('error' in result ? [] : [result]));
  return {
    schema: 'aspen.job.submitMany/v1',
    value: { results },
    items: 'results',
    ids: accepted.map(({ id }) => id),
    text: () =>
      formatTable(
        ['id', 'new'],
        accepted.map(({ id, duplicate }) => [id, duplicate ? 'no, it was there already' : 'yes']),
      ),
    ...(refused.length > 0 && { exitCode: 1 }),
  };
}

/** @param text a JSON array of job specs, or one spec a line. */
export function specsFromText(text: string): readonly Spec[] {
  const specs = text.trimStart().startsWith('[') ? parseJson(text, 'it') : linesOf(text);
  if (!Array.isArray(specs)) throw wrongUsage('the file holds no list of job specs');
  if (specs.length > JOBS_LIMIT)
    throw wrongUsage(`the file holds ${specs.length} jobs, at most ${JOBS_LIMIT} go at once`);
  return specs as readonly Spec[];
}

function linesOf(text: string): unknown[] {
  return text
    .split('\n')
    .flatMap((line, at) => (line.trim() === '' ? [] : [parseJson(line, `line ${at + 1}`)]));
}
