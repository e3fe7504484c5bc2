import { AspenError, ERROR_KINDS, type ErrorCode, type ErrorDetails, isErrorCode } from '../base/index.ts';

/** An error as JSON-RPC carries it. `data.code` is the name to branch on; `data.outcome` says what became of the request. */
export interface RpcErrorObject {
  readonly code: number;
  readonly message: string;
  readonly data: ErrorDetails & { readonly code: ErrorCode; readonly outcome: 'not-applied' | 'unknown' };
}

/** An answer in words of its own: what a handler throws travels as it is, also with a code that is none of ours. */
export class RpcFailure extends Error {
  override readonly name = 'RpcFailure';
  readonly error: {
    readonly code: number;
    readonly message: string;
    readonly data: Readonly<Record<string, unknown>>;
  };

  constructor(error: RpcFailure['error']) {
    super(error.message);
    this.error = error;
  }
}

/** What is not an AspenError is a fault of ours: `INTERNAL`, with its message and nothing else of it. */
export function toRpcError(error: unknown): RpcErrorObject {
  const known =
    error instanceof AspenError
      ? error
      : new AspenError('INTERNAL', error instanceof Error ? error.message : String(error));
  return {
    code: ERROR_KINDS[known.code].rpcCode,
    message: known.message,
    data: { ...known.details, code: known.code, outcome: known.outcome },
  };
}

const CODE_BY_NUMBER = new Map<number, ErrorCode>(
  (Object.keys(ERROR_KINDS) as ErrorCode[]).map((code) => [ERROR_KINDS[code].rpcCode, code]),
);

/** @returns the error that the other side sent; by its number where it carries no name of ours. */
export function fromRpcError(error: unknown): AspenError {
  const { code, message, data } = (typeof error === 'object' && error !== null ? error : {}) as {
    readonly code?: unknown;
    readonly message?: unknown;
    readonly data?: unknown;
  };
  const facts = (typeof data === 'object' && data !== null ? data : {}) as Readonly<Record<string, unknown>>;
  const { code: name, outcome, ...details } = facts;
  const known = isErrorCode(name) ? name : (CODE_BY_NUMBER.get(Number(code)) ?? 'INTERNAL');
  return new AspenError(known, typeof message === 'string' ? message : 'an error without a message', {
    details,
    ...(outcome === 'not-applied' || outcome === 'unknown' ? { outcome } : {}),
  });
}
