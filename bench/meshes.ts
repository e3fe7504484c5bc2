import { type Agent, Cluster, leaderAndFollowers } from '../test/e2e/harness/index.ts';

export interface BenchMesh {
  readonly agents: readonly Agent[];
  readonly leader: Agent;
  readonly followers: readonly Agent[];
}

/** Slots of each agent: as many as there are requests in flight, so that waiting for a slot is not what is measured. */
export const SLOTS = 100;

/** Starts so many real agents on loopback, hands them over, and removes them again. */
export async function withMesh<T>(count: 1 | 3, use: (mesh: BenchMesh) => Promise<T>): Promise<T> {
  await using cluster = new Cluster();
  const names = ['a', 'b', 'c'].slice(0, count);
  const agents = await cluster.mesh(names, { env: { ASPEN_SLOTS: String(SLOTS), ASPEN_LOG_LEVEL: 'warn' } });
  if (count === 1) return await use({ agents, leader: agents[0] as Agent, followers: [] });
  return await use({ agents, ...(await leaderAndFollowers(agents)) });
}

/** Where a client may sit. Every measurement is taken at each of them. */
export interface Seat {
  readonly name: string;
  readonly agentCount: 1 | 3;
  pick(mesh: BenchMesh): Agent;
}

export const SEATS: readonly Seat[] = [
  { name: 'one agent', agentCount: 1, pick: ({ leader }) => leader },
  { name: 'three agents, client at the leader', agentCount: 3, pick: ({ leader }) => leader },
  {
    name: 'three agents, client at a follower',
    agentCount: 3,
    pick: ({ followers }) => followers[0] as Agent,
  },
];
