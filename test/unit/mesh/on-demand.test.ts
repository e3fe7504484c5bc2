import assert from 'node:assert/strict';
import { AspenError } from '../../../src/base/index.ts';
import { type Mesh, OnDemand } from '../../../src/mesh/index.ts';
import { contactOf, Village } from './nodes.ts';
import { identityOf } from './support.ts';

const [ada, bob] = [identityOf(1), identityOf(2)] as const;

describe('a request to a member without a link', () => {
  let village: Village;
  let node: Mesh;
  let other: Mesh;
  beforeEach(async () => {
    village = new Village();
    node = await village.node(ada, { linksLimit: 0 });
    other = await village.node(bob, { linksLimit: 0 });
    node.connector.consider({ ...contactOf(other), source: 'registry' });
    other.messenger.handle('double', ({ body }) => 2 * (body as number));
    await village.clock.advance(2_000);
  });
  afterEach(() => village[Symbol.asyncDispose]());

  const requests = (mayLive = true) =>
    new OnDemand({
      transport: node.transport,
      messenger: node.messenger,
      connector: node.connector,
      clock: village.clock,
      mayLive: () => mayLive,
    });

  it('makes one, and is answered', async () => {
    assert.ok(!node.transport.isLinked(bob.peerId));
    assert.equal(
      await village.settled(requests().request(bob.peerId, 'double', 21, { timeoutMs: 5_000 })),
      42,
    );
    assert.ok(node.transport.isLinked(bob.peerId));
  });

  it('tells that the link is needed, each time', async () => {
    await village.settled(requests().request(bob.peerId, 'double', 1, { timeoutMs: 5_000 }));
    await village.clock.advance(30_000);
    await village.settled(requests().request(bob.peerId, 'double', 1, { timeoutMs: 5_000 }));
    assert.ok(village.clock.monotonicMs() - (node.connector.neededAtMs(bob.peerId) ?? 0) < 1_000);
  });

  it('fails at once where the member gives no sign of life', async () => {
    await assert.rejects(
      village.settled(requests(false).request(bob.peerId, 'double', 1, { timeoutMs: 5_000 })),
      (error) => error instanceof AspenError && error.code === 'UNAVAILABLE',
    );
    assert.ok(!node.transport.isLinked(bob.peerId));
  });

  it('ends in time where nobody answers', async () => {
    village.cut(ada.peerId, bob.peerId);
    await assert.rejects(
      village.settled(requests().request(bob.peerId, 'double', 1, { timeoutMs: 1_000 })),
      AspenError,
    );
  });
});
