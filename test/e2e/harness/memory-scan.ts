import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

const CHUNK_BYTES = 1024 * 1024;

/** @returns how often any of the texts stands in the readable memory of a process. Needs the right to trace it. */
export function countInMemory(pid: number, texts: readonly Uint8Array[]): number {
  const overlapBytes = Math.max(...texts.map(({ length }) => length)) - 1;
  const fd = openSync(`/proc/${pid}/mem`, 'r');
  let count = 0;
  try {
    for (const { from, until } of readableRegions(pid)) {
      let rest: Buffer = Buffer.alloc(0);
      for (let at = from; at < until; at += CHUNK_BYTES) {
        const read = readAt(fd, at, Math.min(CHUNK_BYTES, until - at));
        const bytes = Buffer.concat([rest, read]);
        for (const text of texts) count += occurrences(bytes, text);
        rest = bytes.subarray(Math.max(0, bytes.length - overlapBytes));
        if (read.length === 0) break;
      }
    }
  } finally {
    closeSync(fd);
  }
  return count;
}

function readableRegions(pid: number): { readonly from: number; readonly until: number }[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, from, until, path] = /^([0-9a-f]+)-([0-9a-f]+) r\S* \S+ \S+ \S+ *(.*)$/.exec(line) ?? [];
      if (from === undefined || until === undefined || path?.startsWith('[v')) return [];
      return [{ from: Number.parseInt(from, 16), until: Number.parseInt(until, 16) }];
    });
}

/** @returns what can be read there; nothing where the region is gone or not there at all. */
function readAt(fd: number, at: number, length: number): Buffer {
  const buffer = Buffer.allocUnsafe(length);
  try {
    return buffer.subarray(0, readSync(fd, buffer, 0, length, at));
  } catch (error) {
    if (['EIO', 'EFAULT'].includes((error as NodeJS.ErrnoException).code ?? '')) return Buffer.alloc(0);
    throw error;
  }
}

/** Whatever straddles two pieces is seen with the second; what stands whole in the overlap may be counted twice. */
function occurrences(bytes: Buffer, text: Uint8Array): number {
  let count = 0;
  for (let at = bytes.indexOf(text); at !== -1; at = bytes.indexOf(text, at + 1)) count += 1;
  return count;
}
