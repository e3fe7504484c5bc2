import { Interrupted, wrongUsage } from './failure.ts';
import type { CliIo } from './io.ts';

/** Longest value of a secret. Unit: bytes. */
const VALUE_BYTES_LIMIT = 64 * 1024;

/** What it reads from and speaks to. */
type Standard = Pick<CliIo, 'stdin' | 'stderr'>;

/** What standard input has where a person sits at it. */
interface Terminal {
  readonly isTTY?: boolean;
  setRawMode?(isRaw: boolean): void;
}

/**
 * The value of a secret: a file as it is, or standard input, or what a person types unseen, without its last line feed. Never an argument, which
 * every user of the machine could read.
 * @param file `-` or absent for standard input. @throws AspenError INVALID_PARAMS for a value that is empty, too long, or cannot be read.
 */
export async function readSecretValue(io: Standard, file: string | undefined): Promise<Uint8Array> {
  const value =
    file === undefined || file === '-' ? withoutLineFeed(await readInput(io)) : await readWhole(file);
  if (value.length === 0) throw wrongUsage('the value is empty');
  if (value.length > VALUE_BYTES_LIMIT) throw tooLong();
  return value;
}

async function readInput(io: Standard): Promise<Buffer> {
  const terminal = io.stdin as Terminal;
  if (terminal.isTTY !== true) return readAll(io.stdin);
  io.stderr.write('value (not shown): ');
  terminal.setRawMode?.(true);
  try {
    return await readTyped(io.stdin);
  } finally {
    terminal.setRawMode?.(false);
    io.stderr.write('\n');
  }
}

async function readAll(source: AsyncIterable<Buffer | string>): Promise<Buffer> {
  const parts: Buffer[] = [];
  let byteCount = 0;
  for await (const part of source) {
    parts.push(Buffer.from(part));
    byteCount += part.length;
    if (byteCount > VALUE_BYTES_LIMIT + 1) throw tooLong();
  }
  return Buffer.concat(parts);
}

const [END_OF_TEXT, END_OF_TRANSMISSION, BACKSPACE, LINE_FEED, RETURN, DELETE] = [3, 4, 8, 10, 13, 127];

/** Up to the end of the line; a raw terminal leaves editing to its reader. */
async function readTyped(source: AsyncIterable<Buffer | string>): Promise<Buffer> {
  const typed: number[] = [];
  for await (const part of source) {
    for (const byte of Buffer.from(part)) {
      if (byte === END_OF_TEXT) throw new Interrupted('interrupted: nothing was set');
      if (byte === LINE_FEED || byte === RETURN || byte === END_OF_TRANSMISSION) return Buffer.from(typed);
      if (byte === BACKSPACE || byte === DELETE) typed.pop();
      else typed.push(byte);
      if (typed.length > VALUE_BYTES_LIMIT) throw tooLong();
    }
  }
  return Buffer.from(typed);
}

async function readWhole(file: string): Promise<Buffer> {
  const { open } = await import('node:fs/promises');
  try {
    const opened = await open(file);
    return await readAll(opened.createReadStream());
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    throw wrongUsage(`cannot read ${file}: ${(error as Error).message}`);
  }
}

function withoutLineFeed(bytes: Buffer): Buffer {
  return bytes.at(-1) === LINE_FEED ? bytes.subarray(0, -1) : bytes;
}

function tooLong() {
  return wrongUsage(`the value is longer than ${VALUE_BYTES_LIMIT} bytes`);
}
