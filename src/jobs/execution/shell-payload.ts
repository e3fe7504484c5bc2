import { z } from 'zod';
import { AspenError } from '../../base/index.ts';

/** Longest output of one attempt that is passed on when the payload does not say. Unit: bytes. */
export const DEFAULT_MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** From SIGTERM to SIGKILL when the payload does not say. Unit: ms. */
export const DEFAULT_GRACE_MS = 5_000;
const LONGEST_GRACE_MS = 10 * 60_000;

const text = z.string().refine((value) => !value.includes('\0'), 'must not contain a NUL character');
const variableName = z
  .string()
  .regex(/^[^=\0]+$/, 'must be the name of an environment variable: not empty, without "=" and NUL');

const schema = z.strictObject({
  command: text.min(1, 'must name a program'),
  args: z.array(text).default([]),
  env: z.record(variableName, text).default({}),
  cwd: text.min(1).optional(),
  stdin: z.string().optional(),
  shell: z.boolean().default(false),
  captureStderr: z.boolean().default(true),
  maxOutputBytes: z.int().nonnegative().default(DEFAULT_MAX_OUTPUT_BYTES),
  graceMs: z.int().nonnegative().max(LONGEST_GRACE_MS).default(DEFAULT_GRACE_MS),
  limits: z.undefined('is not supported by this version').optional(),
});

/** The payload of a job of type `shell`, with its defaults filled in. */
export interface ShellPayload {
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** Run by `/bin/sh -c`: `command` and `args`, joined by spaces, are one line. */
  readonly shell: boolean;
  /** Whether standard error is passed on and kept; it is read and counted either way. */
  readonly captureStderr: boolean;
  /** For both streams together. */
  readonly maxOutputBytes: number;
  readonly graceMs: number;
}

/** @throws AspenError INVALID_PARAMS whose `issues` name each path. */
export function parseShellPayload(payload: unknown): ShellPayload {
  const parsed = schema.safeParse(payload);
  if (parsed.success) {
    const { cwd, stdin, limits: _, ...rest } = parsed.data;
    return { ...rest, ...(cwd === undefined ? {} : { cwd }), ...(stdin === undefined ? {} : { stdin }) };
  }
  const issues = parsed.error.issues.flatMap(issuesOf);
  const summary = issues.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new AspenError('INVALID_PARAMS', `the shell payload does not fit: ${summary}`, {
    details: { issues },
  });
}

function issuesOf(issue: z.core.$ZodIssue): { path: string; message: string }[] {
  const path = ['payload', ...issue.path.map(String)];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'is not a known key' }));
  }
  return [{ path: path.join('.'), message: issue.message }];
}
