import { type FileHandle, open } from 'node:fs/promises';
import type { CommandContext } from './command.ts';
import { refused } from './file-sink.ts';

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

async function openFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r');
  } catch (cause) {
    throw refused(path, cause);
  }
}
