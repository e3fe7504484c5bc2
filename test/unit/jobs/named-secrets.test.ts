import assert from 'node:assert/strict';
import { resolveJobSpec } from '../../../src/jobs/index.ts';
import { packSpec, unpackSpec } from '../../../src/jobs/packing.ts';
import { Mesh } from './dispatcher-mesh.ts';
import { knownSecrets } from './known-secrets.ts';

const shell = (...names: readonly string[]) => ({
  type: 'shell',
  payload: {
    command: 'true',
    env: Object.fromEntries(names.map((name, at) => [`V${at}`, `secret://${name}`])),
  },
});

async function meshWith(readers: Readonly<Record<string, readonly string[]>>): Promise<Mesh> {
  const mesh = new Mesh([knownSecrets]).lead();
  for (const name of ['ann', 'bob', 'cid']) await mesh.join(name, { types: ['shell', 'echo'] });
  for (const [name, nodes] of Object.entries(readers)) put(mesh, name, nodes);
  return mesh;
}

function put(mesh: Mesh, name: string, readers: readonly string[]): void {
  mesh.bench.apply({ module: 'secrets', kind: 'put', body: { name, readers } });
}

describe('a job that names secrets', () => {
  it('is given to a node that may read them all, and to no other', async () => {
    const mesh = await meshWith({ db: ['ann', 'bob'], key: ['bob', 'cid'] });
    mesh.bench.submit({ id: 'job_1', ...shell('db', 'key') }, { id: 'job_2', ...shell('key', 'db') });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to bob', 'job_2 to bob']);
  });

  it('waits where none may, and goes on when one is granted what it lacks', async () => {
    const mesh = await meshWith({ db: ['ann'], key: ['bob'] });
    mesh.bench.submit({ id: 'job_1', ...shell('db', 'key') });
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), []);
    const { nodes } = mesh.explain('job_1');
    const reasonsOf = (name: string) => nodes.find(({ peerId }) => peerId === name)?.reasons;
    assert.deepEqual(reasonsOf('ann'), ['may not read secret key']);
    assert.deepEqual(reasonsOf('cid'), ['may not read secret db', 'may not read secret key']);
    put(mesh, 'key', ['ann', 'bob']);
    await mesh.settle();
    assert.deepEqual(mesh.givenIds(), ['job_1 to ann']);
  });

  it('holds up no other', async () => {
    const mesh = await meshWith({ db: [] });
    mesh.bench.submit({ id: 'job_1', ...shell('db') }, { id: 'job_2', type: 'echo' });
    await mesh.settle();
    assert.deepEqual(
      mesh.givenIds().map((text) => text.slice(0, 5)),
      ['job_2'],
    );
  });

  it('is refused when one of them is not there', async () => {
    const mesh = await meshWith({ db: ['ann'] });
    const [refused, taken] = mesh.bench.submit(
      { id: 'job_1', ...shell('db', 'no') },
      { id: 'job_2', ...shell('db') },
    );
    assert.deepEqual([refused?.error?.code, taken?.error], ['NOT_FOUND', undefined]);
  });

  it('keeps their names in its record, packed and unpacked', () => {
    const spec = resolveJobSpec(shell('b', 'a/x', 'b'));
    assert.deepEqual(spec.affinity.secrets, ['a/x', 'b']);
    assert.deepEqual(unpackSpec(packSpec(spec)).affinity.secrets, ['a/x', 'b']);
    assert.equal(
      resolveJobSpec({ type: 'echo', payload: { env: { A: 'secret://b' } } }).affinity.secrets,
      undefined,
    );
  });

  it('names no more than 64', () => {
    const names = Array.from({ length: 65 }, (_, at) => `s${at}`);
    assert.throws(() => resolveJobSpec(shell(...names)), /65 secrets/);
  });
});
