import { z } from 'zod';
import { AspenError } from '../base/index.ts';

/**
 * @returns a check of the payloads of one type of job.
 * @throws AspenError (the check) INVALID_PARAMS whose `issues` name each path.
 */
export function payloadCheck<T>(type: string, schema: z.ZodType<T>): (payload: unknown) => T {
  return (payload) => {
    const parsed = schema.safeParse(payload);
    if (parsed.success) return parsed.data;
    const issues = parsed.error.issues.flatMap(issuesOf);
    const summary = issues.map(({ path, message }) => `${path} ${message}`).join('; ');
    throw new AspenError('INVALID_PARAMS', `the ${type} payload does not fit: ${summary}`, {
      details: { issues },
    });
  };
}

function issuesOf(issue: z.core.$ZodIssue): { path: string; message: string }[] {
  const path = ['payload', ...issue.path.map(String)];
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'is not a known key' }));
  return [{ path: path.join('.'), message: issue.message }];
}

/** The name of a blob. */
export const blobIdSchema = z.string().regex(/^(bafkrei|bafybei)[a-z2-7]{52}$/, 'must be a blob id');
