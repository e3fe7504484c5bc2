/** When sending the same request again can help. */
export type Retry = 'never' | 'later' | 'elsewhere';

/** What became of a mutating request: nothing changed, ever; or it may still take effect. */
export type Outcome = 'not-applied' | 'unknown';

interface ErrorKind {
  readonly rpcCode: number;
  readonly exitCode: number;
  readonly retry: Retry;
  readonly outcome: Outcome;
  readonly summary: string;
}

/**
 * Every error that callers can meet, with what helps. `docs/ERRORS.md` shows the same table; a test keeps them equal.
 * `rpcCode` travels in JSON-RPC, `exitCode` is what the command line ends with.
 */
export const ERROR_KINDS = {
  PARSE_ERROR: {
    rpcCode: -32700,
    exitCode: 2,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'The line is not JSON, or longer than 16 MiB.',
  },
  INVALID_REQUEST: {
    rpcCode: -32600,
    exitCode: 2,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'The value is not a JSON-RPC 2.0 request.',
  },
  METHOD_NOT_FOUND: {
    rpcCode: -32601,
    exitCode: 2,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'No such method; `rpc.discover` lists them.',
  },
  INVALID_PARAMS: {
    rpcCode: -32602,
    exitCode: 2,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'The params do not fit the schema; `data.issues[]` names each path.',
  },
  INTERNAL: {
    rpcCode: -32603,
    exitCode: 1,
    retry: 'never',
    outcome: 'unknown',
    summary: 'A fault in Aspen itself; the log of the agent has the details.',
  },
  NOT_FOUND: {
    rpcCode: -32001,
    exitCode: 3,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'Nothing has that name or id.',
  },
  CONFLICT: {
    rpcCode: -32002,
    exitCode: 4,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'The current state forbids it; `data.current` shows that state.',
  },
  NO_QUORUM: {
    rpcCode: -32003,
    exitCode: 5,
    retry: 'later',
    outcome: 'not-applied',
    summary: 'The group has no leader that a majority follows, or this node cannot reach it.',
  },
  DENIED: {
    rpcCode: -32004,
    exitCode: 7,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'The ticket, certificate or role does not allow it.',
  },
  DEADLINE_EXCEEDED: {
    rpcCode: -32005,
    exitCode: 8,
    retry: 'later',
    outcome: 'unknown',
    summary: 'No answer in time; the request may still take effect.',
  },
  RESOURCE_EXHAUSTED: {
    rpcCode: -32006,
    exitCode: 1,
    retry: 'later',
    outcome: 'not-applied',
    summary: 'A stated limit is reached; `data.retryAfterMs` says when to try again.',
  },
  FENCED: {
    rpcCode: -32007,
    exitCode: 4,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'A newer attempt or holder exists; the fencing token is stale.',
  },
  NOT_LEADER: {
    rpcCode: -32008,
    exitCode: 5,
    retry: 'elsewhere',
    outcome: 'not-applied',
    summary: 'Another node leads the group. Never leaves the mesh.',
  },
  UNAVAILABLE: {
    rpcCode: -32009,
    exitCode: 6,
    retry: 'later',
    outcome: 'unknown',
    summary: 'The agent or the peer cannot be reached, or is stopping.',
  },
  PLACEMENT_IMPOSSIBLE: {
    rpcCode: -32010,
    exitCode: 9,
    retry: 'never',
    outcome: 'not-applied',
    summary: 'No known node can ever satisfy the placement.',
  },
  COMPACTED: {
    rpcCode: -32011,
    exitCode: 4,
    retry: 'never',
    outcome: 'not-applied',
    summary:
      'The history asked for is no longer kept; `data.oldestRevision` is the first that is: read the state anew, watch from there.',
  },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERROR_KINDS;

/** What an error may carry beside its message. All of it is plain data that survives JSON and MessagePack. */
export interface ErrorDetails {
  readonly issues?: readonly { readonly path: string; readonly message: string }[];
  readonly current?: unknown;
  readonly retryAfterMs?: number;
  readonly leader?: string | null;
  readonly limit?: string;
  readonly [fact: string]: unknown;
}

export interface AspenErrorOptions {
  readonly details?: ErrorDetails;
  readonly cause?: unknown;
  /** Overrides the code's own outcome where the caller knows better, e.g. `UNAVAILABLE` before anything was sent. */
  readonly outcome?: Outcome;
}

/** Everything expected that goes wrong. The code tells the caller what helps; the message names the thing and the number. */
export class AspenError extends Error {
  override readonly name = 'AspenError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly outcome: Outcome;

  constructor(code: ErrorCode, message: string, options: AspenErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.outcome = options.outcome ?? ERROR_KINDS[code].outcome;
  }

  get retry(): Retry {
    return ERROR_KINDS[this.code].retry;
  }
}

/** The shape in which an error crosses a wire between nodes or is recorded as the outcome of a command. */
export interface WireError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
  readonly outcome: Outcome;
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_KINDS, code);
}

/** @returns the error as plain data; anything that is not an AspenError becomes `INTERNAL` with its message only. */
export function toWireError(error: unknown): WireError {
  if (error instanceof AspenError) {
    return { code: error.code, message: error.message, details: error.details, outcome: error.outcome };
  }
  return {
    code: 'INTERNAL',
    message: error instanceof Error ? error.message : String(error),
    details: {},
    outcome: 'unknown',
  };
}

/** @returns the error a peer sent; what does not have the shape becomes `INTERNAL`, since nothing is believed because a peer said it. */
export function fromWireError(wire: unknown): AspenError {
  const { code, message, details, outcome } = (
    typeof wire === 'object' && wire !== null ? wire : {}
  ) as Partial<WireError>;
  if (!isErrorCode(code) || typeof message !== 'string') {
    return new AspenError('INTERNAL', 'a peer answered with a malformed error');
  }
  return new AspenError(code, message.slice(0, 4_096), {
    details: typeof details === 'object' && details !== null ? details : {},
    outcome: outcome === 'not-applied' || outcome === 'unknown' ? outcome : ERROR_KINDS[code].outcome,
  });
}
