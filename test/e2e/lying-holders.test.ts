import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type Agent, Cluster, until } from './harness/index.ts';
import { type Lie, lying } from './harness/lying-holder.ts';
import { reportFailures, STORY_CAP_MS } from './harness/mocha.ts';

interface Suspect {
  readonly peerId: string;
  readonly lies: number;
  readonly stalls: number;
  readonly isAvoided: boolean;
}

const BYTES = 6 * 2 ** 20 + 5;
const FETCH_CAP_MS = 120_000;

describe('holders of blobs that do not keep what they promise', function () {
  this.timeout(STORY_CAP_MS);
  let cluster: Cluster;
  let honest: Agent;
  let getter: Agent;
  const liars = new Map<Lie, Agent>();
  reportFailures(() => cluster);

  before(async () => {
    cluster = new Cluster();
    [honest, getter] = (await cluster.mesh(['honest', 'getter'])) as [Agent, Agent];
    for (const lie of ['chunk', 'size', 'silence'] as const) {
      const liar = cluster.add(lie, { env: lying(lie) });
      const { ticket } = await honest.call<{ ticket: string }>('mesh.ticket');
      await liar.join(ticket);
      liars.set(lie, liar);
    }
  });
  after(() => cluster[Symbol.asyncDispose]());

  const add = async (agent: Agent, data: Buffer): Promise<string> =>
    (await agent.call<{ id: string }>('blob.add', { data: data.toString('base64') })).id;

  const suspectOf = async (id: string, agent: Agent): Promise<Suspect | undefined> => {
    const { suspects } = await getter.call<{ suspects: Suspect[] }>('blob.stat', { id });
    return suspects.find(({ peerId }) => peerId === agent.peerId);
  };

  for (const lie of ['chunk', 'size'] as const)
    it(`are avoided and counted when they lie (${lie}), and the blob comes from another`, async () => {
      const liar = liars.get(lie) as Agent;
      const bytes = randomBytes(BYTES);
      const id = await add(liar, bytes);
      const fetching = getter.call<{ isComplete: boolean }>('blob.fetch', { id }, FETCH_CAP_MS);
      fetching.catch(() => undefined); // nobody but the liar may have it for longer than it is looked for
      await until(async () => ((await suspectOf(id, liar))?.lies ?? 0) > 0, {
        what: 'the lie to be noticed',
      });
      assert.equal(await add(honest, bytes), id);
      await getter.call('blob.fetch', { id }, FETCH_CAP_MS);
      const { data } = await getter.call<{ data: string }>('blob.get', { id, lengthBytes: 8 * 2 ** 20 });
      assert.ok(Buffer.from(data, 'base64').equals(bytes));
      const suspect = await suspectOf(id, liar);
      assert.equal(suspect?.isAvoided, true);
      const { stdout } = await getter.cli(['blob', 'stat', id]);
      assert.match(stdout, new RegExp(`suspect +${liar.peerId} lied [1-9]`));
      assert.equal(await suspectOf(id, honest), undefined);
      const { text } = await getter.call<{ text: string }>('metrics.get', { format: 'text' });
      assert.match(text, /aspen_blob_holder_answers_total\{kind="lie"\} [1-9]/);
      assert.match(getter.logTail(), /a holder gives what is not the blob/);
    });

  it('are counted when they say nothing, and the blob comes from another', async () => {
    const silent = liars.get('silence') as Agent;
    const bytes = randomBytes(BYTES);
    const id = await add(silent, bytes);
    const fetching = getter.call('blob.fetch', { id }, FETCH_CAP_MS);
    fetching.catch(() => undefined); // seen below
    await until(async () => ((await suspectOf(id, silent))?.stalls ?? 0) > 0, {
      what: 'the silence to be noticed',
    });
    assert.equal(await add(honest, bytes), id);
    await fetching;
    const { data } = await getter.call<{ data: string }>('blob.get', { id, lengthBytes: 8 * 2 ** 20 });
    assert.ok(Buffer.from(data, 'base64').equals(bytes));
  });
});
