import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { AspenError } from '../base/index.ts';
import type { CommandContext } from './command.ts';

const OWNER_ONLY = 0o600;

/** Where the bytes of a blob go. */
export interface BlobSink {
  write(piece: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  abandon(): Promise<void>;
}

/** @returns the pieces of a file or of standard input (`-`), none longer than `pieceBytes`. */
export async function* piecesOf(
  { io }: Pick<CommandContext, 'io'>,
  path: string,
  pieceBytes: number,
): AsyncGenerator<Uint8Array> {
  if (path === '-') {
    for await (const chunk of io.stdin) {
      const bytes: Uint8Array = typeof chunk === 'string' ? Buffer.from(chunk) : (chunk as Uint8Array);
      for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
    }
    return;
  }
  const file = await openFile(path);
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(new Uint8Array(pieceBytes), 0, pieceBytes, null);
      if (bytesRead === 0) return;
      yield buffer.subarray(0, bytesRead);
    }
  } catch (cause) {
    throw refused(path, cause);
  } finally {
    await file.close();
  }
}

/** Bytes go out as fast as they are read, and no faster. */
export function standardOutput({ io }: Pick<CommandContext, 'io'>): BlobSink {
  return {
    write: async (piece) => {
      io.stdout.write(piece);
      await io.stdout.drained?.();
    },
    commit: async () => undefined,
    abandon: async () => undefined,
  };
}

/** The file is there whole or not at all. @throws AspenError CONFLICT when it exists and may not be replaced. */
export async function fileSink(
  path: string,
  { isForced }: { readonly isForced: boolean },
): Promise<BlobSink> {
  if (!isForced && (await exists(path)))
    throw new AspenError(
      'CONFLICT',
      `${path} exists already; add --force to replace it, or choose another name`,
    );
  const partial = `${path}.partial`;
  const file = await open(partial, 'w', OWNER_ONLY).catch((cause: unknown) => {
    throw refused(partial, cause);
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

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw refused(path, cause);
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await (await open(path, 'r')).close();
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ENOENT';
  }
}

function refused(path: string, cause: unknown): AspenError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return new AspenError(code === 'ENOENT' ? 'NOT_FOUND' : 'DENIED', `${path}: ${message}`, { cause });
}
