import { z } from 'zod';
import { AspenError } from '../../base/index.ts';
import { isReference, isSecretFileName, secretNameOf } from '../../secrets/index.ts';
import { LIMIT_NAMES, type Limits } from '../../supervisor/index.ts';

/** Longest output of one attempt that is passed on when neither the payload nor the owner says. Unit: bytes. */
export const DEFAULT_MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
/** From SIGTERM to SIGKILL when the payload does not say. Unit: ms. */
export const DEFAULT_GRACE_MS = 5_000;
const LONGEST_GRACE_MS = 10 * 60_000;

const text = z.string().refine((value) => !value.includes('\0'), 'must not contain a NUL character');
const variableName = z
  .string()
  .regex(/^[^=\0]+$/, 'must be the name of an environment variable: not empty, without "=" and NUL');

const bound = (least: number) => z.int().min(least).max(Number.MAX_SAFE_INTEGER).optional();
/** A memory smaller than this starts no program. Unit: bytes. */
const LEAST_MEMORY_BYTES = 2 ** 20;
const limits = z.strictObject({
  memoryBytes: bound(LEAST_MEMORY_BYTES),
  cpuSeconds: bound(1),
  pids: bound(1),
  fileBytes: bound(0),
  required: z.boolean().default(false),
});
const reference = z
  .string()
  .refine((value) => secretNameOf(value) !== undefined, 'must be secret:// and the name of a secret');
/** A value that looks like a reference and is none would be given to the job as it is. */
const value = text.refine(
  (one) => !isReference(one) || secretNameOf(one) !== undefined,
  'must be secret:// and the name of a secret, or another text',
);
const fileName = z
  .string()
  .refine(isSecretFileName, 'must be the name of a file: up to 64 letters, digits or . _ -, no path');

const payloadSchema = z.strictObject({
  command: text.min(1, 'must name a program'),
  args: z.array(text).default([]),
  env: z.record(variableName, value).default({}),
  secretFiles: z.record(fileName, reference).default({}),
  cwd: text.min(1).optional(),
  stdin: z.string().optional(),
  stdinBase64: z.base64('must be base64').optional(),
  shell: z.boolean().default(false),
  captureStderr: z.boolean().default(true),
  maxOutputBytes: z.int().nonnegative().optional(),
  graceMs: z.int().nonnegative().max(LONGEST_GRACE_MS).default(DEFAULT_GRACE_MS),
  sandbox: z.enum(['none', 'bwrap']).optional(),
  network: z.boolean().optional(),
  limits: limits.optional(),
});
const schema = payloadSchema.refine((one) => one.stdin === undefined || one.stdinBase64 === undefined, {
  path: ['stdinBase64'],
  message: 'must not be given beside stdin',
});

/** The payload of a job of type `shell`, with its defaults filled in. */
export interface ShellPayload {
  readonly command: string;
  readonly args: readonly string[];
  /** `secret://NAME` as a value stands for that secret. */
  readonly env: Readonly<Record<string, string>>;
  /** Secrets as files, by the name each has in the directory `ASPEN_SECRETS_DIR`. */
  readonly secretFiles: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly stdin?: string;
  /** Standard input that is no text; instead of `stdin`. */
  readonly stdinBase64?: string;
  /** Run by `/bin/sh -c`: `command` and `args`, joined by spaces, are one line. */
  readonly shell: boolean;
  /** Whether standard error is passed on and kept; it is read and counted either way. */
  readonly captureStderr: boolean;
  /** For both streams together; absent where the owner of the node decides. */
  readonly maxOutputBytes?: number;
  readonly graceMs: number;
  /** What holds it; absent where the owner of the node decides. */
  readonly sandbox?: 'none' | 'bwrap';
  /** Whether it needs the network where it runs in a sandbox. */
  readonly network?: boolean;
  readonly limits?: ShellLimits;
}

/** What the job wants to be bound to. */
export interface ShellLimits extends Limits {
  /** Only a node that can hold all of them will do. */
  readonly required: boolean;
}

/** @throws AspenError INVALID_PARAMS whose `issues` name each path. */
export function parseShellPayload(payload: unknown): ShellPayload {
  const parsed = schema.safeParse(payload);
  if (parsed.success) {
    const { cwd, stdin, stdinBase64, maxOutputBytes, sandbox, network, limits: given, ...rest } = parsed.data;
    return {
      ...rest,
      ...(cwd !== undefined && { cwd }),
      ...(stdin !== undefined && { stdin }),
      ...(stdinBase64 !== undefined && { stdinBase64 }),
      ...(maxOutputBytes !== undefined && { maxOutputBytes }),
      ...(sandbox !== undefined && { sandbox }),
      ...(network !== undefined && { network }),
      ...(given !== undefined && { limits: limitsOf(given) }),
    };
  }
  const issues = parsed.error.issues.flatMap(issuesOf);
  const summary = issues.map(({ path, message }) => `${path} ${message}`).join('; ');
  throw new AspenError('INVALID_PARAMS', `the shell payload does not fit: ${summary}`, {
    details: { issues },
  });
}

function limitsOf({ required, ...given }: z.output<typeof limits>): ShellLimits {
  const stated = LIMIT_NAMES.flatMap((name) => (given[name] === undefined ? [] : [[name, given[name]]]));
  return { ...Object.fromEntries(stated), required };
}

function issuesOf(issue: z.core.$ZodIssue): { path: string; message: string }[] {
  const path = ['payload', ...issue.path.map(String)];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({ path: [...path, key].join('.'), message: 'is not a known key' }));
  }
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message;
  return [{ path: path.join('.'), message }];
}
