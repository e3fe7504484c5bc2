import assert from 'node:assert/strict';
import { DrainBook } from '../../../src/agent/drain-book.ts';
import { LabelBook, placementLabels } from '../../../src/agent/label-book.ts';
import type { DataDirectory } from '../../../src/storage/index.ts';

/** The files of a data directory, in memory. */
function directory(): DataDirectory {
  const files = new Map<string, Uint8Array>();
  const made: Pick<DataDirectory, 'readFile' | 'writeFileAtomic'> = {
    readFile: async (name) => files.get(name),
    writeFileAtomic: async (name, bytes) => void files.set(name, bytes),
  };
  return made as DataDirectory;
}

describe('the labels that placement sees', () => {
  const machine = { os: 'linux', cpus: '8', memoryGiB: '32', hostname: 'h' };

  it('are what the machine is under the reserved prefix, and what can be compared plainly', () => {
    assert.deepEqual(placementLabels({ zone: 'eu' }, machine), {
      cpus: '8',
      memoryGiB: '32',
      zone: 'eu',
      'aspen/os': 'linux',
      'aspen/cpus': '8',
      'aspen/memoryGiB': '32',
      'aspen/hostname': 'h',
    });
  });

  it('follow the owner for plain names, and nobody for reserved ones', () => {
    const labels = placementLabels({ cpus: '2', 'aspen/os': 'mine', 'aspen/x': 'y' }, machine);
    assert.deepEqual([labels['cpus'], labels['aspen/os'], labels['aspen/x']], ['2', 'linux', undefined]);
  });

  it('have keys as the configuration takes them, and odd ones of before can be removed', async () => {
    const book = new LabelBook(directory(), {});
    for (const key of ['a b', '', '-x', 'x'.repeat(64)])
      await assert.rejects(book.change({ labels: { [key]: '1' }, remove: [] }), {
        code: 'INVALID_PARAMS',
        message: /^labels: ".*": a label key is/,
      });
    assert.deepEqual(await book.change({ labels: { 'zone/rack_1.b': 'c' }, remove: ['a b'] }), {
      'zone/rack_1.b': 'c',
    });
  });

  it('cannot be set with the reserved prefix', async () => {
    const book = new LabelBook(directory(), {});
    await assert.rejects(book.change({ labels: { 'aspen/os': 'x' }, remove: [] }), {
      code: 'INVALID_PARAMS',
      message: /aspen\/os/,
    });
  });
});

describe('a drain', () => {
  it('outlives the process, is told once it is durable, and ends', async () => {
    const files = directory();
    const book = new DrainBook(files);
    const told: boolean[] = [];
    book.onChange((isDraining) => told.push(isDraining));
    await book.set(true);
    const next = new DrainBook(files);
    await next.load();
    assert.equal(next.isDraining, true);
    await book.set(false);
    await next.load();
    assert.deepEqual([next.isDraining, told], [false, [true, false]]);
  });

  it('is refused to members that may not vote, and to nonsense', async () => {
    const book = new DrainBook(directory());
    await assert.rejects(book.onRequest('worker', { isDraining: true }), { code: 'DENIED' });
    await assert.rejects(book.onRequest('voter', { isDraining: 3 }), { code: 'INVALID_PARAMS' });
    assert.deepEqual(await book.onRequest('voter', { isDraining: true }), { isDraining: true });
  });
});
