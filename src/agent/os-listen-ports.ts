import { createServer } from 'node:net';
import { z } from 'zod';
import { AspenError, decode, encode } from '../base/index.ts';
import type { DataDirectory } from '../storage/index.ts';

const FILE = 'ports';
const OPEN_PORT = /^\/(ip4|ip6)\/([^/]+)\/tcp\/0$/;
/** A plain one: the port of a WebSocket is another one. */
const BOUND_PORT = /^\/(ip4|ip6)\/[^/]+\/tcp\/(\d+)(?:\/p2p\/[^/]+)?$/;

const portSchema = z.int().min(1).max(65_535).optional();
const portsSchema = z.object({ ip4: portSchema, ip6: portSchema });
type Family = keyof z.infer<typeof portsSchema>;

/**
 * The ports this node listened on last. Where the configuration leaves the port open, the same one is taken again if it is free: a mesh
 * whose agents were all stopped finds itself by the addresses they remember, and those hold only if the ports do.
 */
export class OsListenPorts {
  readonly #directory: Pick<DataDirectory, 'readFile' | 'writeFileAtomic'>;

  constructor(directory: Pick<DataDirectory, 'readFile' | 'writeFileAtomic'>) {
    this.#directory = directory;
  }

  /** @param listen multiaddrs. @returns the same, an open port replaced by the remembered one where nobody else has it. */
  async recall(listen: readonly string[]): Promise<readonly string[]> {
    const ports = await this.#load();
    return await Promise.all(
      listen.map(async (address) => {
        const [, family, host = ''] = OPEN_PORT.exec(address) ?? [];
        const port = family === undefined ? undefined : ports[family as Family];
        if (port === undefined || !(await isFree({ host, port }))) return address;
        return `/${family}/${host}/tcp/${port}`;
      }),
    );
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
