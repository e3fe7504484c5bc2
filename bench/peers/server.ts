import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as openSocket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { NoPeer } from './install.ts';

const READY_LIMIT_MS = 20_000;

/** A folder of its own for a server that is measured, removed with it. */
export class PeerFolder implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'aspen-peer-'));

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}

/** A server of somebody else's, ended when it is disposed of. */
export class PeerServer implements AsyncDisposable {
  readonly #child: ChildProcess;
  #errors = '';

  constructor(
    program: string,
    args: readonly string[],
    options: { readonly uid?: number; readonly gid?: number } = {},
  ) {
    this.#child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'], ...options });
    this.#child.stderr?.on('data', (bytes: Buffer) => {
      this.#errors = (this.#errors + bytes.toString()).slice(-2_000);
    });
  }

  /** @throws NoPeer when it does not answer on the port. */
  async answersOn(port: number): Promise<void> {
    const endMs = performance.now() + READY_LIMIT_MS;
    while (!(await accepts(port))) {
      if (this.#child.exitCode !== null || performance.now() > endMs)
        throw new NoPeer(`it does not start: ${this.#errors}`);
      await pause(50);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.kill('SIGINT');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(timer);
  }
}

/** @returns ports of loopback that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer();
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      return server;
    }),
  );
  const ports = servers.map((server) => (server.address() as { port: number }).port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = openSocket({ host: '127.0.0.1', port });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
