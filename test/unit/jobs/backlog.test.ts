import assert from 'node:assert/strict';
import { resultOf } from '../lease/machine/support.ts';
import { Mesh } from './dispatcher-mesh.ts';

const ASKS = { slots: 1, wantsBacklog: true };

/** Nodes whose one slot is taken. */
async function meshOf(...names: readonly string[]): Promise<Mesh> {
  const mesh = new Mesh().lead();
  for (const name of names) await mesh.join(name, ASKS);
  mesh.bench.submit(...names.map((name) => ({ id: `job_of_${name}`, queue: 'web' })));
  await mesh.settle();
  return mesh;
}

async function backlogOf(mesh: Mesh, name: string, report: object = ASKS): Promise<number | undefined> {
  const held = mesh.given().filter(({ to }) => to === name);
  return (await mesh.report(name, held, report)).backlog;
}

describe('the backlog that a node is told (A8)', () => {
  it('is what waits for a slot, split among the nodes that could run it', async () => {
    const mesh = await meshOf('ann', 'bob');
    mesh.bench.submit(
      ...Array.from({ length: 5 }, (_, at) => ({ id: `job_${at}` })),
      { id: 'job_bob', affinity: { avoid: { node: 'ann' } } },
      { id: 'job_other', type: 'nobody-runs-it' },
    );
    await mesh.settle();
    assert.deepEqual([await backlogOf(mesh, 'ann'), await backlogOf(mesh, 'bob')], [3, 4]);
  });

  it('counts nothing that a limit or a pause holds back', async () => {
    const mesh = await meshOf('ann');
    mesh.bench.do('pauseQueue', { queue: 'mail', reason: null });
    resultOf(mesh.bench.do('limit', { scope: 'queue', name: 'web', concurrency: 1 }));
    const held = ['mail', 'web'].flatMap((queue) => [1, 2].map((at) => ({ id: `job_${queue}${at}`, queue })));
    mesh.bench.submit(...held, { id: 'job_free' });
    await mesh.settle();
    assert.equal(await backlogOf(mesh, 'ann'), 1);
  });

  it('is nothing for a node that drains, and told to nobody who did not ask', async () => {
    const mesh = await meshOf('ann');
    mesh.bench.submit({ id: 'job_1' });
    await mesh.settle();
    assert.equal(await backlogOf(mesh, 'ann', { ...ASKS, isDraining: true }), 0);
    assert.equal(await backlogOf(mesh, 'ann', { slots: 1 }), undefined);
  });
});
