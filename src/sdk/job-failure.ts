import { RpcFailure } from '../rpc/os-client.ts';

/** JSON-RPC leaves the numbers from here on to servers; what counts is `data.code`. */
const FAILED = -32_000;
const CODE_LENGTH_LIMIT = 64;

/** A failure that another attempt would only repeat: the job is dead at once, with `code` (`NON_RETRYABLE` unless given, at most 64 characters). */
export class NonRetryableError extends Error {
  override readonly name = 'NonRetryableError';
  readonly code: string;
  readonly retryable = false;

  constructor(message: string, options: ErrorOptions & { readonly code?: string } = {}) {
    super(message, options);
    this.code = options.code ?? 'NON_RETRYABLE';
  }
}

/**
 * What a handler threw, as the agent takes it. Of any error `message`, `code` (where it is text), `retryable` (unless it is false, the
 * job is tried again as its spec says) and `exitCode` are kept.
 */
export function failureOf(thrown: unknown): RpcFailure {
  const { message, code, retryable, exitCode } = (
    typeof thrown === 'object' && thrown !== null ? thrown : { message: String(thrown) }
  ) as Readonly<Record<string, unknown>>;
  return new RpcFailure({
    code: FAILED,
    message: typeof message === 'string' && message !== '' ? message : nameOf(thrown),
    data: {
      code: typeof code === 'string' && code !== '' ? code.slice(0, CODE_LENGTH_LIMIT) : 'FAILED',
      retryable: retryable !== false,
      ...(Number.isSafeInteger(exitCode) && { exitCode }),
    },
  });
}

function nameOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.name : 'the handler failed and gave no message';
}
