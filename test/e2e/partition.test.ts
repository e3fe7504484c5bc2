import assert from 'node:assert/strict';
import {
  type Agent,
  agreement,
  Cluster,
  type KvEntry,
  Lan,
  leaderAndFollowers,
  RpcError,
  until,
  Writer,
} from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const CUT_OFF_CODES = ['NO_QUORUM', 'DEADLINE_EXCEEDED'];
const HONEST: Readonly<Record<string, string>> = { NO_QUORUM: 'not-applied', DEADLINE_EXCEEDED: 'unknown' };

describe('one of three agents cut off', function () {
  this.timeout(STORY_CAP_MS);
  let lan: Lan;
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    lan = new Lan(3);
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c'], { netns: lan.machines });
  });
  after(async () => {
    try {
      await cluster?.[Symbol.asyncDispose]();
    } finally {
      lan?.[Symbol.dispose]();
    }
  });

  for (const role of ['leader', 'follower'] as const) {
    it(`the majority works on, the minority (the ${role}) refuses honestly, and after healing all agree`, async () => {
      const { leader, followers } = await leaderAndFollowers(agents);
      const minority = role === 'leader' ? leader : (followers[0] as Agent);
      const majority = agents.filter((agent) => agent !== minority) as [Agent, Agent];
      const key = (name: string) => `partition/${role}/${name}`;
      await minority.call('kv.put', { key: key('shared'), value: 'before' });

      lan.unplug(minority.netns as string);
      const writer = new Writer(majority[0], key('majority/'));
      const attempts: { readonly name: string; readonly error: RpcError }[] = [];
      try {
        await until(() => majority[1].call('kv.put', { key: key('shared'), value: 'after' }), {
          what: 'the majority to accept a write',
        });
        const read = refusal(minority.call('kv.get', { key: key('shared') }));
        const writes = ['one', 'two', 'three'].map(async (name) => {
          attempts.push({
            name,
            error: await refusal(minority.call('kv.put', { key: key(name), value: name })),
          });
        });
        const submitted = refusal(minority.call('job.submit', { type: 'echo', requireMesh: true }));
        const byHand = minority.cli(['kv', 'put', key('by-hand'), 'x']);
        for (const { data, message } of [await read, await submitted]) {
          assert.ok(CUT_OFF_CODES.includes(data.code ?? ''), `answered ${message}`);
        }
        await Promise.all(writes);
        const { code, stderr } = await byHand;
        assert.ok([5, 8].includes(code ?? -1), `exit code ${code}: ${stderr}`);
        await writer.more(20);
        await statusKnowsBetter(minority);
      } finally {
        lan.plug(minority.netns as string);
        await writer.stop();
      }

      for (const { error } of attempts) {
        assert.ok(CUT_OFF_CODES.includes(error.data.code ?? ''), `a write was answered ${error.message}`);
        assert.equal(error.data.outcome, HONEST[error.data.code ?? ''], error.message);
      }
      await agreement(agents, 'all to agree after healing');
      for (const agent of agents) {
        assert.equal((await agent.call<KvEntry>('kv.get', { key: key('shared') })).value, 'after');
        assert.deepEqual(await writer.missingAt(agent), []);
        for (const { name, error } of attempts) {
          const entry = await agent.call<KvEntry | null>('kv.get', { key: key(name) });
          if (error.data.outcome === 'not-applied')
            assert.equal(entry, null, `${name} was promised not to happen`);
        }
      }
    });
  }
});

async function refusal(call: Promise<unknown>): Promise<RpcError> {
  const answer = await call.then(
    (result) => result,
    (error: unknown) => error,
  );
  if (answer instanceof RpcError) return answer;
  throw new Error(
    `expected a refusal, got ${answer instanceof Error ? answer.message : JSON.stringify(answer)}`,
  );
}

/** The one that is cut off says so itself. */
async function statusKnowsBetter(agent: Agent): Promise<void> {
  await until(async () => !(await agent.status()).group.hasQuorum, {
    what: 'the minority to say that it has no quorum',
  });
}
