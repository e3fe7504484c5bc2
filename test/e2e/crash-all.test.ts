import assert from 'node:assert/strict';
import { type Agent, agreement, Cluster, type Submitted, Writer } from './harness/index.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

const ROUNDS = 2;

describe('all agents killed at once', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let agents: Agent[];
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    agents = await cluster.mesh(['a', 'b', 'c']);
  });
  after(() => cluster[Symbol.asyncDispose]());

  for (let round = 1; round <= ROUNDS; round += 1) {
    it(`lose nothing that was acknowledged, and finish the jobs they had accepted (round ${round})`, async () => {
      const writers = agents.map((agent) => new Writer(agent, `crash/${round}/${agent.name}/`));
      const submitter = new Submitter(agents[0] as Agent);
      await Promise.all([...writers.map((writer) => writer.more(30)), submitter.more(10)]);
      await Promise.all(agents.map((agent) => agent.kill9()));
      await Promise.all([...writers, submitter].map((client) => client.stop()));

      await Promise.all(agents.map((agent) => agent.up()));
      await agreement(agents);
      for (const [index, writer] of writers.entries()) {
        assert.deepEqual(await writer.missingAt(agents[(index + 1) % agents.length] as Agent), []);
      }
      const jobs = await Promise.all(submitter.accepted.map((id) => (agents[1] as Agent).waitForJob(id)));
      assert.deepEqual(
        jobs.filter(({ state }) => state !== 'succeeded').map(({ id, state }) => `${id} ${state}`),
        [],
      );
    });
  }
});

/** Submits one job after the other until it is stopped or the agent is gone. */
class Submitter {
  readonly accepted: string[] = [];
  readonly #agent: Agent;
  readonly #ended: Promise<void>;
  #isStopping = false;
  #goals: { readonly count: number; readonly reached: () => void }[] = [];

  constructor(agent: Agent) {
    this.#agent = agent;
    this.#ended = this.#submit();
  }

  more(count: number): Promise<void> {
    return new Promise((reached) => this.#goals.push({ count: this.accepted.length + count, reached }));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#ended;
  }

  async #submit(): Promise<void> {
    using client = await this.#agent.connect();
    while (!this.#isStopping) {
      try {
        const { id, durability } = await client.call<Submitted>('job.submit', { type: 'echo', payload: 'x' });
        if (durability === 'mesh') this.accepted.push(id);
      } catch (error) {
        if (client.isClosed) return; // its agent was killed: that is the story
        throw error;
      }
      for (const goal of this.#goals) if (this.accepted.length >= goal.count) goal.reached();
      this.#goals = this.#goals.filter((goal) => this.accepted.length < goal.count);
    }
  }
}
