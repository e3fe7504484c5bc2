import { setTimeout as pause } from 'node:timers/promises';
import {
  type Agent,
  agreement,
  type Job,
  type RpcClient,
  type Submitted,
  until,
} from '../../test/e2e/harness/index.ts';
import { type Bench, type Figure, figure, repeat } from '../bench.ts';
import { withMesh } from '../meshes.ts';

const LEADER_ROUNDS = 5;
const WRITE_EVERY_MS = 10;
const WRITE_CAP_MS = 60_000;
const JOBS = 10;

export const failover: Bench = {
  name: 'failover',
  method:
    `Leader: kill -9, while a client at a follower sends a kv.put every ${WRITE_EVERY_MS} ms without waiting; until the first put sent after the ` +
    `kill is acknowledged. Follower: kill -9 while it runs ${JOBS} shell jobs that have just begun, so at the shortest hold; until all have completed elsewhere.`,
  async run({ runCount }) {
    return await withMesh(3, async ({ agents }) => {
      const leader = await repeat(Math.max(LEADER_ROUNDS, runCount), () => leaderRound(agents));
      const follower = await repeat(runCount, () => followerRound(agents));
      const figures: Figure[] = [
        figure('leader killed: writes flow again', 's', leader),
        figure(`follower killed: its ${JOBS} jobs are complete elsewhere`, 's', follower),
      ];
      return figures;
    });
  },
};

async function roles(agents: readonly Agent[]): Promise<{ leader: Agent; followers: Agent[] }> {
  const [status] = await agreement(agents);
  const leader = agents.find(({ peerId }) => peerId === status?.group.leader) as Agent;
  return { leader, followers: agents.filter((agent) => agent !== leader) };
}

async function leaderRound(agents: readonly Agent[]): Promise<number> {
  const { leader, followers } = await roles(agents);
  using client = await (followers[0] as Agent).connect();
  await client.call('kv.put', { key: 'failover', value: 'before' });
  const killedMs = performance.now();
  await leader.kill9();
  await firstAcknowledged(client);
  const seconds = (performance.now() - killedMs) / 1_000;
  await leader.up();
  await agreement(agents);
  return seconds;
}

/** Sends one write after the other, whatever becomes of the earlier ones, until any of them is acknowledged. */
async function firstAcknowledged(client: RpcClient): Promise<void> {
  let isAcknowledged = false;
  const sent: Promise<unknown>[] = [];
  while (!isAcknowledged) {
    const write = client.call('kv.put', { key: 'failover', value: String(sent.length) }, WRITE_CAP_MS);
    sent.push(
      write.then(
        () => {
          isAcknowledged = true;
        },
        (error: unknown) => error, // refused while there is no leader: the next one may succeed
      ),
    );
    await pause(WRITE_EVERY_MS);
    if (sent.length * WRITE_EVERY_MS > WRITE_CAP_MS) throw new Error('writes do not flow again');
  }
}

async function followerRound(agents: readonly Agent[]): Promise<number> {
  const { leader, followers } = await roles(agents);
  const victim = followers[0] as Agent;
  const script = 'if [ "$ASPEN_ATTEMPT" = 1 ]; then sleep 60; fi';
  const spec = {
    type: 'shell',
    payload: { command: 'sh', args: ['-c', script] },
    affinity: { node: { peerId: victim.peerId, mode: 'prefer' } },
  };
  const submitted = await Promise.all(
    Array.from({ length: JOBS }, () => leader.call<Submitted>('job.submit', spec)),
  );
  const ids = submitted.map(({ id }) => id);
  await until(
    async () => {
      const jobs = await Promise.all(ids.map((id) => leader.call<Job>('job.get', { id })));
      return jobs.every(({ state, node }) => state === 'running' && node === victim.peerId);
    },
    { what: 'the jobs to run on the victim' },
  );
  const killedMs = performance.now();
  await victim.kill9();
  const jobs = await Promise.all(ids.map((id) => leader.waitForJob(id)));
  const seconds = (performance.now() - killedMs) / 1_000;
  if (jobs.some(({ state }) => state !== 'succeeded'))
    throw new Error('a job did not succeed; the measurement is void');
  victim.endOrphans();
  await victim.up();
  await agreement(agents);
  return seconds;
}
