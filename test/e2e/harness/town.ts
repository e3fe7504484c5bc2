import assert from 'node:assert/strict';
import type { Agent } from './agent.ts';
import { Cluster } from './cluster.ts';
import { Internet, type Translation } from './internet.ts';
import { until } from './until.ts';

/** How one member sees another one. */
export interface TownPeer {
  readonly peerId: string;
  readonly path: 'direct' | 'relay' | null;
  readonly carrier: string | null;
  readonly address: string | null;
  readonly since: number | null;
}

export interface Home {
  readonly translation: Translation;
  readonly env?: Readonly<Record<string, string>>;
  /** @default true */
  readonly hasDatagrams?: boolean;
}

interface Router {
  readonly router: string;
  readonly routerHost: string;
}

const ENVIRONMENT = { ASPEN_LISTEN: '/ip4/0.0.0.0/tcp/0', ASPEN_MDNS: 'off' };

/** Two public members, the first of which has founded the mesh, and one behind each of two routers; all joined through the first one's ticket. */
export class Town implements AsyncDisposable {
  readonly internet: Internet;
  readonly cluster: Cluster;
  readonly agents: readonly [Agent, Agent, Agent, Agent];
  readonly #routers: readonly Router[];

  private constructor(
    { internet, cluster }: { readonly internet: Internet; readonly cluster: Cluster },
    agents: readonly [Agent, Agent, Agent, Agent],
    routers: readonly Router[],
  ) {
    this.internet = internet;
    this.cluster = cluster;
    this.agents = agents;
    this.#routers = routers;
  }

  static async settle(
    homes: readonly [Home, Home],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Town> {
    const internet = new Internet();
    const cluster = new Cluster();
    const publics = ['p', 'q'].map((name) => ({ name, netns: internet.addPublic().netns, env: {} }));
    const privates = homes.map(({ translation, env: own = {}, hasDatagrams = true }, at) => {
      const { netns, ...router } = internet.addHome(translation);
      if (!hasDatagrams) internet.dropDatagrams(router.router);
      return { name: 'ab'[at] as string, netns, env: own, router };
    });
    const agents = [...publics, ...privates].map(({ name, netns, env: own }) =>
      cluster.add(name, { netns, env: { ...ENVIRONMENT, ...env, ...own } }),
    ) as [Agent, Agent, Agent, Agent];
    const [p, ...others] = agents;
    await p.up();
    const { ticket } = await p.call<{ readonly ticket: string }>('mesh.ticket', { uses: others.length });
    for (const agent of others) await agent.join(ticket);
    const routers = privates.map(({ router }) => router);
    return new Town({ internet, cluster }, agents, routers);
  }

  /** From now on nothing passes between the two homes but what a third carries. */
  cutHomesApart(): void {
    const [a, b] = this.#routers as [Router, Router];
    this.internet.cutOff(a.router, b.routerHost);
    this.internet.cutOff(b.router, a.routerHost);
  }

  /** One more, with the settings of all. */
  add(name: string, netns: string): Agent {
    return this.cluster.add(name, { netns, env: ENVIRONMENT });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.cluster[Symbol.asyncDispose]();
    } finally {
      this.internet[Symbol.dispose]();
    }
  }
}

export async function peerOf(from: Agent, to: Agent): Promise<TownPeer | undefined> {
  const { peers } = await from.call<{ readonly peers: readonly TownPeer[] }>('mesh.peers');
  return peers.find(({ peerId }) => peerId === to.peerId);
}

export async function linked(from: Agent, to: Agent): Promise<TownPeer> {
  return await until(
    async () => {
      const peer = await peerOf(from, to);
      return peer?.path === null ? undefined : peer;
    },
    { what: `${from.name} to be linked to ${to.name}`, everyMs: 50 },
  );
}

export async function runsOn(from: Agent, to: Agent): Promise<void> {
  const ran = await from.cli(['run', '--node', to.peerId, '--', 'sh', '-c', 'echo $ASPEN_NODE']);
  assert.deepEqual([ran.code, ran.stdout.trim()], [0, to.peerId], ran.stderr);
}
