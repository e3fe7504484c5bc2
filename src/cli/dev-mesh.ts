import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AspenClient } from '../sdk/index.ts';
import { type SpawnedAgent, spawnAgent, whenAnswering } from './detached.ts';

export interface DevNode {
  readonly name: string;
  readonly dataDir: string;
  readonly peerId: string;
}

const START_TIMEOUT_MS = 60_000;
const STOP_TIMEOUT_MS = 15_000;

/** Several agents on loopback with data directories that last as long as they do. */
export class DevMesh implements AsyncDisposable {
  readonly #self: readonly string[];
  readonly #spawned: { readonly name: string; readonly agent: SpawnedAgent }[] = [];
  #directory: string | undefined;
  #nodes: readonly DevNode[] = [];

  constructor(self: readonly string[]) {
    this.#self = self;
  }

  /** Those that answer, in the order of their names. */
  get nodes(): readonly DevNode[] {
    return this.#nodes;
  }

  /** The first founds the mesh, the others join it. @throws AspenError, EndedEarly when one does not come up. */
  async start(count: number): Promise<void> {
    this.#directory = await mkdtemp(join(tmpdir(), 'aspen-dev-'));
    const first = await this.#startNode(1);
    if (count > 1) {
      const ticket = await createTicket(first.dataDir, count - 1);
      const others = Array.from({ length: count - 1 }, (_, at) => this.#startNode(at + 2, ticket));
      this.#nodes = [first, ...(await Promise.all(others))];
    } else {
      this.#nodes = [first];
    }
  }

  /** @returns the name of the first agent that ends without being told to. */
  async whenOneEnds(): Promise<string> {
    return await Promise.race(
      this.#spawned.map(async ({ name, agent }) => {
        await once(agent.child, 'exit');
        return name;
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#spawned.map(({ agent }) => stop(agent)));
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
  }

  async #startNode(number: number, ticket?: string): Promise<DevNode> {
    const name = `dev-${number}`;
    const dataDir = join(this.#directory as string, `${number}`);
    const agent = spawnAgent(this.#self, {
      dataDir,
      name,
      listen: ['/ip4/127.0.0.1/tcp/0'],
      isMdnsEnabled: false,
      ...(ticket === undefined ? {} : { ticket }),
    });
    this.#spawned.push({ name, agent });
    const { peerId } = await whenAnswering(agent, START_TIMEOUT_MS);
    return { name, dataDir, peerId };
  }
}

async function createTicket(dataDir: string, uses: number): Promise<string> {
  using client = await AspenClient.connect({ dataDir });
  return (await client.call('mesh.ticket', { uses })).ticket;
}

async function stop({ child }: SpawnedAgent): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
  await ended;
  clearTimeout(timer);
}
