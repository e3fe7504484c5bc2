import { decode, encode, InvariantError } from '../../base/index.ts';

/** Who asked, so that asking twice has one effect. `client` is unique to one run of one node. */
export interface ClientRequest {
  readonly client: string;
  /** From 1, each once. */
  readonly sequence: number;
  /** Every sequence up to here was answered or given up, and will never be sent again. */
  readonly acknowledgedThrough: number;
}

/** One command as it travels to the leader and stands in the log. */
export interface Command {
  readonly module: string;
  readonly kind: string;
  /** MessagePack of what the caller gave; at most {@link COMMAND_BYTES_LIMIT}. */
  readonly body: Uint8Array;
  readonly request: ClientRequest | null;
  /** A program's own id for it. */
  readonly requestId: string | null;
}

/** The payload of one log entry: commands that share a moment. */
export interface Batch {
  readonly epoch: number;
  /** Machine version that the commands are applied by (A5). */
  readonly version: number;
  readonly groupMs: number;
  readonly wallMs: number;
  readonly commands: readonly Command[];
}

/** Longest body of one command: with its surroundings it must fit a frame between nodes. Unit: bytes. */
export const COMMAND_BYTES_LIMIT = 3 * 2 ** 20;

/**
 * Lists and maps within each other in the body of a command: looked at by the leader as it lets the command in, and less than a message takes, so
 * that what is stored fits the answers that show it. Unit: levels.
 */
export const COMMAND_NESTING_LIMIT = 200;

const FORMAT = 1;

export function encodeBatch({ epoch, version, groupMs, wallMs, commands }: Batch): Uint8Array {
  return encode([FORMAT, epoch, version, groupMs, wallMs, commands.map(commandToWire)]);
}

/** @throws InvariantError when the bytes are not a batch: the log's checksum held, so it was written that way. */
export function decodeBatch(payload: Uint8Array): Batch {
  const parts = decode(payload);
  if (!Array.isArray(parts) || parts[0] !== FORMAT || !Array.isArray(parts[5])) {
    throw new InvariantError(`a log entry of ${payload.length} bytes is not a batch of commands`);
  }
  const [, epoch, version, groupMs, wallMs, commands] = parts;
  return { epoch, version, groupMs, wallMs, commands: commands.map(commandOfLog) };
}

export function commandToWire({ module, kind, body, request, requestId }: Command): unknown {
  return [
    module,
    kind,
    body,
    request?.client ?? null,
    request?.sequence ?? 0,
    request?.acknowledgedThrough ?? 0,
    requestId,
  ];
}

/** @returns undefined when the foreign value is not a command within its limits. */
export function commandFromWire(wire: unknown): Command | undefined {
  if (!Array.isArray(wire) || wire.length !== 7) return undefined;
  const [module, kind, body, client, sequence, acknowledgedThrough, requestId] = wire;
  if (!isName(module) || !isName(kind)) return undefined;
  if (!(body instanceof Uint8Array) || body.length > COMMAND_BYTES_LIMIT) return undefined;
  if (client !== null && !isName(client)) return undefined;
  if (!isCount(sequence) || !isCount(acknowledgedThrough)) return undefined;
  if (requestId !== null && !isRequestId(requestId)) return undefined;
  const request = client === null ? null : { client, sequence, acknowledgedThrough };
  return { module, kind, body, request, requestId };
}

export const REQUEST_ID_LIMIT = 256;

/** @returns whether a program may use it as a request id: 1 to 256 characters. */
export function isRequestId(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= REQUEST_ID_LIMIT;
}

function commandOfLog(wire: unknown): Command {
  const command = commandFromWire(wire);
  if (command === undefined) throw new InvariantError('a batch in the log holds a malformed command');
  return command;
}

function isName(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 200;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
