import type { z } from 'zod';
import { AspenError, PROTO_KEY_REFUSED, protoKeyPath } from '../base/index.ts';
import { isPlainJobSpec, type JobSpec, jobSpecSchema } from './methods/job-spec.ts';
import { UNKNOWN_KEY_SEPARATOR } from './methods/schema.ts';
import { METHODS, type MethodName, type Params } from './methods/table.ts';

const MISSING = /^Invalid input: expected (.*), received undefined$/;

/** Issues told in one error; a value can be wrong in more places than anyone reads. */
const ISSUE_LIMIT = 20;

export interface Issue {
  /** Dots and indexes from the params down, e.g. `affinity.node.peerId`; empty for the params themselves. */
  readonly path: string;
  readonly message: string;
}

/** @throws AspenError INVALID_PARAMS with `details.issues`. */
export function checkParams<M extends MethodName>(method: M, params: unknown): Params<M> {
  if (method === 'job.submit' && isPlainJobSpec(params)) return params as Params<M>;
  if (method !== 'job.submitMany') checkNames(params); // there each item is checked by itself
  const schema: z.ZodType = METHODS[method].params;
  return checkValue(schema, isNothing(params) ? {} : params) as Params<M>;
}

/** Params go by name; clients that know them by position write an empty list where there are none. */
function isNothing(params: unknown): boolean {
  return params === undefined || params === null || (Array.isArray(params) && params.length === 0);
}

/** For one item of `job.submitMany`. @throws AspenError INVALID_PARAMS with `details.issues`. */
export function checkJobSpec(spec: unknown): JobSpec {
  if (isPlainJobSpec(spec)) return spec;
  checkNames(spec);
  return checkValue(jobSpecSchema, spec);
}

/** Schemas leave such a field out without a word. */
function checkNames(value: unknown): void {
  const path = protoKeyPath(value);
  if (path === undefined) return;
  const issue: Issue = { path, message: PROTO_KEY_REFUSED };
  throw new AspenError('INVALID_PARAMS', describeIssue(issue), { details: { issues: [issue] } });
}

function checkValue<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.flatMap((issue) => flattenIssue(issue, [])).slice(0, ISSUE_LIMIT);
  throw new AspenError('INVALID_PARAMS', issues.map(describeIssue).join('; '), { details: { issues } });
}

/** A union reports one list per alternative: what helps is the list of the alternative that came nearest. */
function flattenIssue(issue: z.core.$ZodIssue, parents: readonly PropertyKey[]): Issue[] {
  const path = [...parents, ...issue.path];
  if (issue.code === 'invalid_union') {
    const nearest = issue.errors.find((alternative) =>
      alternative.every(
        (inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys' || isWithinType(inner),
      ),
    );
    if (nearest !== undefined) return nearest.flatMap((inner) => flattenIssue(inner, path));
    const wanted = [...new Set(issue.errors.flat().map((inner) => inner.message))].join(', or ');
    return [{ path: formatPath(path), message: wanted === '' ? issue.message : wanted }];
  }
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split(UNKNOWN_KEY_SEPARATOR);
    return issue.keys.map((key, at) => ({
      path: formatPath([...path, key]),
      message: messages[at] ?? issue.message,
    }));
  }
  return [{ path: formatPath(path), message: issue.message.replace(MISSING, 'is missing, expected $1') }];
}

/** The type was right and only the value was not, e.g. a number out of its range. */
function isWithinType(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'too_big' || issue.code === 'too_small' || issue.code === 'invalid_format';
}

function formatPath(path: readonly PropertyKey[]): string {
  return path
    .map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`))
    .join('')
    .replace(/^\./, '');
}

function describeIssue({ path, message }: Issue): string {
  return path === '' ? message : `${path}: ${message}`;
}
