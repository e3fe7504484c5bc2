import assert from 'node:assert/strict';
import { type Copies, CopiesNote } from '../../../src/agent/copies-note.ts';
import { AspenError, type PeerId } from '../../../src/base/index.ts';
import type { GroupStatus } from '../../../src/lease/index.ts';

const [ada, bob] = ['ada', 'bob'] as PeerId[] as [PeerId, PeerId];

/** A node of a group, and a disk that may be full or broken. */
class Node {
  readonly kept: Copies[] = [];
  readonly failures: unknown[] = [];
  status = { role: 'voter', voters: [ada], standbys: [] } as unknown as GroupStatus;
  fault: unknown;
  readonly note = new CopiesNote({
    group: { status: () => this.status },
    keep: async (copies) => {
      if (this.fault !== undefined) throw this.fault;
      this.kept.push(copies);
    },
    onFailure: (error) => this.failures.push(error),
  });

  async look(): Promise<void> {
    this.note.note();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

describe('what a node keeps of who holds the agreed state', () => {
  it('is written when it changes, and only then', async () => {
    const node = new Node();
    await node.look();
    await node.look();
    assert.deepEqual(node.kept, [{ voters: [ada], standbys: [] }]);
    node.status = { ...node.status, standbys: [bob] };
    await node.look();
    assert.deepEqual(node.kept.at(-1), { voters: [ada], standbys: [bob] });
    assert.equal(node.kept.length, 2);
  });

  it('is not written by a node that holds none', async () => {
    const node = new Node();
    node.status = { ...node.status, role: 'spare' };
    await node.look();
    assert.deepEqual(node.kept, []);
  });

  it('is tried again where the disk was full; any other failure is told', async () => {
    const node = new Node();
    node.fault = new AspenError('RESOURCE_EXHAUSTED', 'the disk is full');
    await node.look();
    node.fault = undefined;
    await node.look();
    assert.equal(node.kept.length, 1);
    assert.deepEqual(node.failures, []);
    node.fault = new Error('broken');
    node.status = { ...node.status, standbys: [bob] };
    await node.look();
    await node.look();
    assert.deepEqual(node.failures, [node.fault]);
  });
});
