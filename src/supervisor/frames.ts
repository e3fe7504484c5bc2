import type { AttemptSecrets, SealedText } from '../secrets/index.ts';
import type { Layers, WorkPolicy } from './confinement.ts';
import { checkAsk, checkConfinement, checkStoppedBy } from './confinement-frames.ts';
import { list, number, object, optionalNumber, string } from './frame-fields.ts';
import type { ProcessExit } from './runner.ts';
import type { EndedBy, SupervisedEnd, Survivor } from './supervised.ts';
import type { Order } from './supervised-attempt.ts';

/**
 * What an agent and its supervisor say to each other: JSON values, each behind its length in four bytes, most significant first. Whatever does
 * not fit closes the connection. Nothing here imports a library: a supervisor starts as fast as Node does.
 */
export const PROTOCOL = 2;

/** All that a supervisor holds is shown in one frame: the notes and the ends of as many attempts as a node has slots. Unit: bytes. */
const FRAME_LIMIT_BYTES = 256 * 1024 * 1024;
const HEADER_BYTES = 4;

/** Agent to supervisor. */
export type Command =
  | { readonly type: 'hello'; readonly protocol: number; readonly secret: string }
  | { readonly type: 'begin'; readonly order: Order }
  /** For all that is begun from now on. */
  | { readonly type: 'confine'; readonly policy: WorkPolicy; readonly layers: Layers }
  | { readonly type: 'renew'; readonly holds: readonly (readonly [name: string, untilBootMs: number])[] }
  | { readonly type: 'stop'; readonly name: string; readonly graceMs: number }
  | { readonly type: 'forget'; readonly names: readonly string[] }
  /** Take nothing more; end when nothing is left that anybody could want. With `graceMs`, end what runs. */
  | { readonly type: 'retire'; readonly graceMs: number | null };

/** An attempt as its supervisor shows it to whoever adopts it. */
export interface HeldAttempt {
  readonly name: string;
  readonly note: unknown;
  readonly outputKey: string;
  readonly holdUntilBootMs: number;
  readonly startedBootMs: number;
  readonly timeoutMs: number | null;
  readonly outputBytes: number;
  readonly end: SupervisedEnd | null;
}

/** Supervisor to agent. */
export type Report =
  | { readonly type: 'welcome'; readonly protocol: number; readonly attempts: readonly HeldAttempt[] }
  | { readonly type: 'output'; readonly sizes: readonly (readonly [name: string, bytes: number])[] }
  | {
      readonly type: 'ended';
      readonly name: string;
      readonly outputBytes: number;
      readonly end: SupervisedEnd;
    };

export function encodeFrame(frame: Command | Report): Buffer {
  const text = JSON.stringify(frame.type === 'begin' ? withTextOfInput(frame.order) : frame);
  const bytes = Buffer.byteLength(text);
  const buffer = Buffer.allocUnsafe(HEADER_BYTES + bytes);
  buffer.writeUInt32BE(bytes, 0);
  buffer.write(text, HEADER_BYTES);
  return buffer;
}

/** JSON has no bytes: what goes to standard input travels in base64. */
function withTextOfInput(order: Order) {
  const { stdin } = order;
  if (stdin === undefined) return { type: 'begin', order };
  return { type: 'begin', order: { ...order, stdin: Buffer.from(stdin).toString('base64') } };
}

/** Cuts a stream of bytes into JSON values. */
export class FrameReader {
  #parts: Buffer[] = [];
  #heldBytes = 0;

  /** @returns the values that are whole now. @throws TypeError for what is too long or is not JSON. */
  push(bytes: Buffer): unknown[] {
    this.#parts.push(bytes);
    this.#heldBytes += bytes.length;
    const values: unknown[] = [];
    for (let length = this.#nextLength(); length !== null; length = this.#nextLength()) {
      const all = Buffer.concat(this.#parts);
      values.push(parse(all.subarray(HEADER_BYTES, HEADER_BYTES + length)));
      const rest = all.subarray(HEADER_BYTES + length);
      this.#parts = rest.length === 0 ? [] : [rest];
      this.#heldBytes = rest.length;
    }
    return values;
  }

  /** @returns the length of the next frame when all of it is there. */
  #nextLength(): number | null {
    if (this.#heldBytes < HEADER_BYTES) return null;
    if ((this.#parts[0]?.length ?? 0) < HEADER_BYTES) this.#parts = [Buffer.concat(this.#parts)];
    const length = this.#parts[0]?.readUInt32BE(0) ?? 0;
    if (length > FRAME_LIMIT_BYTES) throw new TypeError(`a frame of ${length} bytes`);
    return this.#heldBytes >= HEADER_BYTES + length ? length : null;
  }
}

/** @throws TypeError naming what does not fit. */
export function checkCommand(value: unknown): Command {
  const frame = object(value, 'frame');
  switch (frame['type']) {
    case 'hello':
      return { type: 'hello', protocol: number(frame, 'protocol'), secret: string(frame, 'secret') };
    case 'begin':
      return { type: 'begin', order: checkOrder(frame['order']) };
    case 'confine':
      return { type: 'confine', ...checkConfinement(frame) };
    case 'renew':
      return { type: 'renew', holds: list(frame['holds'], 'holds').map(pair) };
    case 'stop':
      return { type: 'stop', name: string(frame, 'name'), graceMs: number(frame, 'graceMs') };
    case 'forget':
      return { type: 'forget', names: list(frame['names'], 'names').map((name) => string({ name }, 'name')) };
    case 'retire':
      return { type: 'retire', graceMs: optionalNumber(frame, 'graceMs') };
    default:
      throw new TypeError(`no command ${String(frame['type'])}`);
  }
}

/** @throws TypeError naming what does not fit. */
export function checkReport(value: unknown): Report {
  const frame = object(value, 'frame');
  switch (frame['type']) {
    case 'welcome':
      return {
        type: 'welcome',
        protocol: number(frame, 'protocol'),
        attempts: list(frame['attempts'], 'attempts').map(checkHeld),
      };
    case 'output':
      return { type: 'output', sizes: list(frame['sizes'], 'sizes').map(pair) };
    case 'ended':
      return {
        type: 'ended',
        name: string(frame, 'name'),
        outputBytes: number(frame, 'outputBytes'),
        end: checkEnd(frame['end']),
      };
    default:
      throw new TypeError(`no report ${String(frame['type'])}`);
  }
}

function checkOrder(value: unknown): Order {
  const order = object(value, 'order');
  const { cwd, stdin, secrets, ask } = order;
  return {
    name: string(order, 'name'),
    note: order['note'],
    outputKey: string(order, 'outputKey'),
    holdUntilBootMs: number(order, 'holdUntilBootMs'),
    timeoutMs: optionalNumber(order, 'timeoutMs'),
    graceMs: number(order, 'graceMs'),
    maxOutputBytes: number(order, 'maxOutputBytes'),
    captureStderr: order['captureStderr'] === true,
    command: string(order, 'command'),
    args: list(order['args'], 'args').map((arg) => string({ arg }, 'arg')),
    env: strings(order['env']),
    shell: order['shell'] === true,
    ...(cwd !== undefined && { cwd: string(order, 'cwd') }),
    ...(stdin !== undefined && { stdin: Buffer.from(string(order, 'stdin'), 'base64') }),
    ...(secrets !== undefined && { secrets: checkSecrets(secrets) }),
    ...(ask !== undefined && { ask: checkAsk(ask) }),
  };
}

function checkSecrets(value: unknown): AttemptSecrets {
  const secrets = object(value, 'secrets');
  return {
    peerId: string(secrets, 'peerId'),
    env: checkSealed(secrets['env']),
    files: checkSealed(secrets['files']),
  };
}

function checkSealed(value: unknown): Readonly<Record<string, SealedText>> {
  const entries = Object.entries(object(value, 'sealed')).map(([name, one]) => {
    const text = object(one, 'secret');
    const [secret, id, box, wrap] = ['name', 'id', 'box', 'wrap'].map((field) => string(text, field));
    return [name, { name: secret, id, box, wrap } as SealedText] as const;
  });
  return Object.fromEntries(entries);
}

function checkHeld(value: unknown): HeldAttempt {
  const held = object(value, 'attempt');
  return {
    name: string(held, 'name'),
    note: held['note'],
    outputKey: string(held, 'outputKey'),
    holdUntilBootMs: number(held, 'holdUntilBootMs'),
    startedBootMs: number(held, 'startedBootMs'),
    timeoutMs: optionalNumber(held, 'timeoutMs'),
    outputBytes: number(held, 'outputBytes'),
    end: held['end'] === null ? null : checkEnd(held['end']),
  };
}

const ENDERS: readonly unknown[] = ['itself', 'stop', 'timeout', 'hold'] satisfies EndedBy[];

function checkEnd(value: unknown): SupervisedEnd {
  const end = object(value, 'end');
  const output = object(end['output'], 'output');
  if (!ENDERS.includes(end['endedBy'])) throw new TypeError(`nobody is called ${String(end['endedBy'])}`);
  return {
    exit: checkExit(end['exit']),
    endedBy: end['endedBy'] as EndedBy,
    output: {
      stdout: string(output, 'stdout'),
      stderr: string(output, 'stderr'),
      stdoutBytes: number(output, 'stdoutBytes'),
      stderrBytes: number(output, 'stderrBytes'),
      truncated: output['truncated'] === true,
    },
    durationMs: number(end, 'durationMs'),
    survivors: list(end['survivors'], 'survivors').map(checkSurvivor),
  };
}

function checkExit(value: unknown): ProcessExit {
  const exit = object(value, 'exit');
  const { signal, spawnError, stoppedBy } = exit;
  const error = spawnError === undefined ? undefined : object(spawnError, 'spawnError');
  return {
    exitCode: optionalNumber(exit, 'exitCode'),
    signal: signal === null ? null : string(exit, 'signal'),
    ...(error !== undefined && {
      spawnError: { code: string(error, 'code'), message: string(error, 'message') },
    }),
    ...(stoppedBy !== undefined && { stoppedBy: checkStoppedBy(stoppedBy) }),
  };
}

function checkSurvivor(value: unknown): Survivor {
  const survivor = object(value, 'survivor');
  return { pid: number(survivor, 'pid'), command: string(survivor, 'command') };
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new TypeError('a frame that is not JSON', { cause });
  }
}

function strings(value: unknown): Readonly<Record<string, string>> {
  const fields = object(value, 'env');
  for (const name of Object.keys(fields)) string(fields, name);
  return fields as Readonly<Record<string, string>>;
}

function pair(value: unknown): readonly [string, number] {
  const [name, count] = list(value, 'pair');
  return [string({ name }, 'name'), number({ count }, 'count')];
}
