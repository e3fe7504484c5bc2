import assert from 'node:assert/strict';
import { type Agent, agreement, Cluster, type Job, Lan, until } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

/** Far more than its line carries while a session lives without a renewal. Unit: bytes. */
const OUTPUT_BYTES = 600_000;

describe('a worker at the end of a slow line with a long queue', function () {
  this.timeout(STORY_CAP_MS);
  let lan: Lan;
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    lan = new Lan(4);
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c'], { netns: lan.machines.slice(0, 3) });
    await agreement(agents);
    const [founder] = agents as [Agent];
    const worker = cluster.add('d', { netns: lan.machines[3] as string });
    await worker.join((await founder.call<{ ticket: string }>('mesh.ticket', { role: 'worker' })).ticket);
    agents.push(worker);
    lan.slow(worker.netns as string, '512kbit');
  });
  after(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
  });

  it('is not taken for lost while it sends the output of a job: signs of life do not wait behind it', async () => {
    const [a, , , worker] = agents as [Agent, Agent, Agent, Agent];
    const sessionId = await until(async () => (await worker.status()).session.id ?? undefined, {
      what: 'its session to begin',
    });
    const command = `head -c ${OUTPUT_BYTES} /dev/zero | tr '\\0' x`;
    const ran = await a.cli(['--timeout', '120s', 'run', '--node', worker.peerId, '--', 'sh', '-c', command]);
    assert.equal(ran.code, 0, ran.stderr);
    assert.equal(ran.stdout.length, OUTPUT_BYTES);
    const { jobs } = await a.call<{ jobs: Job[] }>('job.list', { type: 'shell', limit: 1 });
    assert.deepEqual([jobs[0]?.state, jobs[0]?.attempt], ['succeeded', 1]);
    assert.equal((await worker.status()).session.id, sessionId, 'its session was kept');
  });
});
