import { randomBytes } from 'node:crypto';
import { readdir, unlink } from 'node:fs/promises';
import { connect, createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { AspenError } from '../base/index.ts';

/** `lock.<pid>.<4 hex digits>`. */
const LOCK_NAME = /^lock\.(\d{1,10})\.[0-9a-f]{4}$/;
export const LONGEST_LOCK_NAME = 'lock.4194304.ffff';

/** Two agents that start at the same moment both withdraw; trying again after unequal pauses lets one of them win. */
const TRIES_LIMIT = 4;
const LONGEST_PAUSE_MS = 120;
/** A listening socket answers at once, even when its process is busy or stopped: the kernel answers for it. */
const PROBE_LIMIT_MS = 1_000;

/**
 * Holds a directory for this process (F1).
 *
 * Each claimant listens on a Unix socket of its own name in the directory, and only then looks at the others. A socket that takes a
 * connection has a living owner; one that refuses belonged to a process that is gone, however it went: the kernel closed it. So nothing
 * has to be believed about process ids, which are used again and mean nothing in another container.
 *
 * Why never two: both listen before they look, so of two claimants at least the later one finds the other, and whoever finds another
 * withdraws. A claim taken for dead in the moment between its bind and its listen is deleted only by somebody who listens already, whom the
 * deleted one then finds.
 *
 * On Windows a named pipe does the same by itself: the second to listen on it fails.
 * @throws AspenError CONFLICT naming the directory and the process that holds it.
 */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  for (let attempt = 1; ; attempt += 1) {
    const name = `lock.${process.pid}.${randomBytes(2).toString('hex')}`;
    const path = join(directory, name);
    const claim = await claimSocket(path, directory);
    const holder = await findHolder(directory, name);
    if (holder === undefined) return claim;
    await claim[Symbol.asyncDispose]();
    if (attempt === TRIES_LIMIT) throw heldBy(holder, directory);
    await new Promise((resolve) => setTimeout(resolve, randomBytes(1).readUInt8(0) % LONGEST_PAUSE_MS));
  }
}

/** @throws AspenError CONFLICT when the pipe of the directory is taken. */
export async function lockWithPipe(pipe: string, directory: string): Promise<AsyncDisposable> {
  try {
    return await claimSocket(pipe, directory);
  } catch (error) {
    const { cause } = error as { readonly cause?: NodeJS.ErrnoException };
    throw cause?.code === 'EADDRINUSE' ? heldBy('unknown', directory) : error;
  }
}

function heldBy(pid: string, directory: string): AspenError {
  return new AspenError(
    'CONFLICT',
    `another agent (pid ${pid}) uses ${directory}; stop it first, or choose another --data-dir`,
    { details: { current: { pid: Number(pid) || null, path: directory } } },
  );
}

async function claimSocket(path: string, directory: string): Promise<AsyncDisposable> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  await listen(server, path, directory);
  return { [Symbol.asyncDispose]: () => new Promise((resolve) => server.close(() => resolve())) };
}

function listen(server: Server, path: string, directory: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: Error) =>
      reject(new AspenError('DENIED', `cannot lock ${directory}: ${cause.message}`, { cause })),
    );
    server.listen({ path }, resolve);
  });
}

/** @returns the pid of a living claimant other than ourselves. Clears away claims of the dead. */
async function findHolder(directory: string, ownName: string): Promise<string | undefined> {
  const names = await readdir(directory);
  if (!names.includes(ownName)) return 'unknown'; // taken for dead by a claimant who listens: try again
  for (const name of names) {
    const pid = LOCK_NAME.exec(name)?.[1];
    if (pid === undefined || name === ownName) continue;
    const path = join(directory, name);
    if (await isListening(path)) return pid;
    await unlink(path).catch(ignoreMissing);
  }
  return undefined;
}

function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    const end = (answer: boolean) => {
      clearTimeout(limit);
      socket.destroy();
      resolve(answer);
    };
    const limit = setTimeout(() => end(true), PROBE_LIMIT_MS);
    socket.once('connect', () => end(true));
    socket.once('error', (error: NodeJS.ErrnoException) =>
      end(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    );
  });
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
