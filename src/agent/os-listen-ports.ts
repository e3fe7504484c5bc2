import { createServer } from 'node:net';
import { z } from 'zod';
import { AspenError, decode, encode, type Random, randomInt } from '../base/index.ts';
import type { DataDirectory } from '../storage/index.ts';

const FILE = 'ports';
const OPEN_PORT = /^\/(ip4|ip6)\/([^/]+)\/tcp\/0$/;
/** A plain one: the port of a WebSocket is another one. */
const BOUND_PORT = /^\/(ip4|ip6)\/[^/]+\/tcp\/(\d+)(?:\/p2p\/[^/]+)?$/;

/**
 * A new port is drawn from here: below what systems give to programs that connect to others (from 32,768 on Linux, 49,152 elsewhere), since any
 * of those may have it while the agent is down.
 */
const DRAWN = { from: 20_000, to: 32_768 };
const DRAWS = 20;

const portSchema = z.int().min(1).max(65_535).optional();
const portsSchema = z.object({ ip4: portSchema, ip6: portSchema });
type Family = keyof z.infer<typeof portsSchema>;

/**
 * The ports this node listens on. Where the configuration leaves the port open, one is drawn at the first start, and the same one is taken
 * again if it is free: a mesh whose agents were all stopped finds itself by the addresses they remember, and those hold only if the ports do.
 */
export class OsListenPorts {
  readonly #directory: Pick<DataDirectory, 'readFile' | 'writeFileAtomic'>;
  readonly #random: Random;

  constructor(directory: Pick<DataDirectory, 'readFile' | 'writeFileAtomic'>, random: Random) {
    this.#directory = directory;
    this.#random = random;
  }

  /** @param listen multiaddrs. @returns the same, an open port replaced by the remembered one where nobody else has it, else by a free one. */
  async recall(listen: readonly string[]): Promise<readonly string[]> {
    const ports = await this.#load();
    return await Promise.all(
      listen.map(async (address) => {
        const [, family, host = ''] = OPEN_PORT.exec(address) ?? [];
        if (family === undefined) return address;
        const port = await this.#firstFree(host, ports[family as Family]);
        return port === undefined ? address : `/${family}/${host}/tcp/${port}`;
      }),
    );
  }

  /** @returns undefined where none of those tried is free: the system chooses then. */
  async #firstFree(host: string, remembered: number | undefined): Promise<number | undefined> {
    if (remembered !== undefined && (await isFree({ host, port: remembered }))) return remembered;
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const port = randomInt(this.#random, DRAWN);
      if (await isFree({ host, port })) return port;
    }
    return undefined;
  }

  /** @param addresses those that are listened on now; none changes nothing. Durable when it resolves. */
  async remember(addresses: readonly string[]): Promise<void> {
    const before = await this.#load();
    const now = { ...before };
    for (const address of addresses) {
      const [, family, port] = BOUND_PORT.exec(address) ?? [];
      if (family !== undefined) now[family as Family] = Number(port);
    }
    if (now.ip4 === before.ip4 && now.ip6 === before.ip6) return;
    await this.#directory.writeFileAtomic(FILE, encode(now));
  }

  async #load(): Promise<z.infer<typeof portsSchema>> {
    const file = await this.#directory.readFile(FILE);
    return file === undefined ? {} : readPorts(file);
  }
}

/** What is no such file is as good as none: any port will do. */
function readPorts(file: Uint8Array): z.infer<typeof portsSchema> {
  try {
    const ports = portsSchema.safeParse(decode(file));
    return ports.success ? ports.data : {};
  } catch (error) {
    if (error instanceof AspenError) return {};
    throw error;
  }
}

function isFree({ host, port }: { readonly host: string; readonly port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false)); // taken, or an address this machine no longer has: any port will do then
    probe.listen({ host, port, ipv6Only: host.includes(':') }, () => probe.close(() => resolve(true)));
  });
}
