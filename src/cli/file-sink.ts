import { open, rename, unlink } from 'node:fs/promises';
import { AspenError } from '../base/index.ts';
import type { CommandContext } from './command.ts';
import { wrongUsage } from './failure.ts';

const OWNER_ONLY = 0o600;
/** What codes of the system mean to the user; any other says that the file may not be used. */
const KINDS: Readonly<Record<string, 'NOT_FOUND' | 'INVALID_PARAMS'>> = {
  ENOENT: 'NOT_FOUND',
  ENOTDIR: 'NOT_FOUND',
  EISDIR: 'INVALID_PARAMS',
};

/** Where bytes go that a command fetches: all of them are kept, or none. */
export interface ByteSink {
  write(piece: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  abandon(): Promise<void>;
}

export interface FileSinkOptions {
  /** What is there already is replaced. @default false */
  readonly isForced?: boolean;
  /** What to do where the file exists, for people. */
  readonly wayOut: string;
}

/** Bytes go out as fast as they are read, and no faster. */
export function standardOutput({ io }: Pick<CommandContext, 'io'>): ByteSink {
  return {
    write: async (piece) => {
      io.stdout.write(piece);
      await io.stdout.drained?.();
    },
    commit: async () => undefined,
    abandon: async () => undefined,
  };
}

/** Its owner's alone, and there whole or not at all. @throws AspenError CONFLICT when it exists and may not be replaced; as {@link refused}. */
export async function fileSink(
  path: string,
  { isForced = false, wayOut }: FileSinkOptions,
): Promise<ByteSink> {
  if (path === '') throw wrongUsage('an empty text names no file');
  if (!isForced && (await exists(path)))
    throw new AspenError('CONFLICT', `${path} exists already; ${wayOut}`);
  const partial = `${path}.partial`;
  const file = await open(partial, 'w', OWNER_ONLY).catch((cause: unknown) => {
    throw refused(path, cause);
  });
  return {
    write: async (piece) => {
      await file.writeFile(piece);
    },
    commit: async () => {
      await file.sync();
      await file.close();
      await rename(partial, path);
    },
    abandon: async () => {
      await file.close();
      await unlink(partial);
    },
  };
}

/** @returns the error of a file that cannot be opened, read or written. */
export function refused(path: string, cause: unknown): AspenError {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const kind = KINDS[code] ?? 'DENIED';
  return new AspenError(kind, `${path}: ${message.replace(`${path}.partial`, path)}`, { cause });
}

async function exists(path: string): Promise<boolean> {
  try {
    await (await open(path, 'r')).close();
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}
