import { createHash } from 'node:crypto';
import { lstat, unlink } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { join, resolve } from 'node:path';
import { AspenError } from '../base/index.ts';
import type { LineDuplex, LineListener } from './line-duplex.ts';
import { OsLineDuplex } from './os-line-duplex.ts';

/** What the kernel takes as the path of a Unix socket. Unit: bytes. */
const SOCKET_PATH_BYTES_LIMIT = process.platform === 'linux' ? 107 : 103;
const OWNER_ONLY_UMASK = 0o177;

/** @returns where the agent of a data directory listens: `agent.sock` in it; on Windows a named pipe of its name. */
export function socketPathOf(dataDir: string): string {
  if (process.platform !== 'win32') return join(resolve(dataDir), 'agent.sock');
  const name = createHash('sha256').update(resolve(dataDir).toLowerCase()).digest('hex').slice(0, 32);
  return `\\\\.\\pipe\\aspen-${name}`;
}

/** @throws AspenError UNAVAILABLE, outcome not-applied, when nobody answers at `path`. */
export async function dialSocket(path: string): Promise<LineDuplex> {
  checkPath(path);
  const socket = await connectTo(path);
  return new OsLineDuplex(socket);
}

/**
 * - R8 The socket is its owner's alone from its first moment; a live agent's socket is never taken over (CONFLICT), the file
 *   that a dead one left is removed.
 */
export class OsSocketListener implements LineListener {
  readonly address: string;
  #server: Server | undefined;

  constructor(path: string) {
    this.address = path;
  }

  async listen(onConnection: (duplex: LineDuplex) => void): Promise<void> {
    checkPath(this.address);
    await removeStaleSocket(this.address);
    const server = createServer({ allowHalfOpen: true }, (socket) => onConnection(new OsLineDuplex(socket)));
    await bindOwnerOnly(server, this.address);
    this.#server = server;
  }

  /** Also removes the socket file. */
  async close(): Promise<void> {
    this.#server?.close();
    this.#server = undefined;
  }
}

/** `listen` binds before it returns, so the mask holds for this file and no other. */
function bindOwnerOnly(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (cause: Error) =>
      reject(new AspenError('UNAVAILABLE', `cannot listen at ${path}: ${cause.message}`, { cause }));
    server.once('error', onError);
    const mask = process.umask(OWNER_ONLY_UMASK);
    try {
      server.listen({ path }, () => {
        server.off('error', onError);
        resolve();
      });
    } finally {
      process.umask(mask);
    }
  });
}

async function removeStaleSocket(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const entry = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (entry === undefined) return;
  if (!entry.isSocket()) throw new AspenError('CONFLICT', `${path} exists and is not a socket`);
  if (await isAnswered(path)) throw new AspenError('CONFLICT', `another agent answers at ${path}`);
  await unlink(path);
}

/** @throws AspenError when nobody can tell: it belongs to another user, or whoever listens is too busy to say so. */
async function isAnswered(path: string): Promise<boolean> {
  try {
    (await connectTo(path)).destroy();
    return true;
  } catch (error) {
    const { code } = ((error as AspenError).cause ?? {}) as NodeJS.ErrnoException;
    if (code === 'ECONNREFUSED') return false;
    throw error;
  }
}

function connectTo(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path });
    const onError = (cause: NodeJS.ErrnoException) => reject(dialError(path, cause));
    socket.once('error', onError);
    socket.once('connect', () => {
      socket.off('error', onError);
      resolve(socket);
    });
  });
}

function dialError(path: string, cause: NodeJS.ErrnoException): AspenError {
  if (cause.code === 'EACCES' || cause.code === 'EPERM') {
    return new AspenError('DENIED', `the socket ${path} belongs to another user`, { cause });
  }
  const details = { socketPath: path };
  return new AspenError('UNAVAILABLE', `no agent answers at ${path}`, {
    cause,
    details,
    outcome: 'not-applied',
  });
}

function checkPath(path: string): void {
  if (process.platform === 'win32' || Buffer.byteLength(path) <= SOCKET_PATH_BYTES_LIMIT) return;
  throw new AspenError(
    'INVALID_PARAMS',
    `the socket path ${path} is longer than the ${SOCKET_PATH_BYTES_LIMIT} bytes that the system takes; choose a shorter --data-dir`,
  );
}
