import assert from 'node:assert/strict';
import { silentLogger } from '../../../src/base/index.ts';
import { createMemoryDuplexPair, RpcPeer } from '../../../src/rpc/index.ts';
import { LineRoom } from '../../../src/rpc/line-room.ts';
import { settle } from './pair.ts';

describe('the room for unfinished lines', () => {
  const connect = (lineRoom: LineRoom) => {
    const [client, duplex] = createMemoryDuplexPair();
    const peer = new RpcPeer({ duplex, logger: silentLogger, handle: async () => null }, { lineRoom });
    return { client, peer };
  };

  it('R14 is shared by all connections: the one that asks for more is closed, the others go on', async () => {
    const room = new LineRoom(10_000);
    const slow = Array.from({ length: 3 }, () => connect(room));
    for (const { client } of slow) client.write('x'.repeat(3_000));
    await settle();
    assert.deepEqual(
      slow.map(({ peer }) => peer.signal.aborted),
      [false, false, false],
    );
    const greedy = connect(room);
    greedy.client.write('x'.repeat(3_000));
    await settle();
    assert.ok(greedy.peer.signal.aborted);
    assert.ok(slow.every(({ peer }) => !peer.signal.aborted));
    assert.equal(room.heldBytes, 3 * 3_128, 'what the closed one held is given back');
  });

  it('R14 counts crumbs at what they cost', async () => {
    const room = new LineRoom(10_000);
    const { client, peer } = connect(room);
    for (let at = 0; at < 100 && !peer.signal.aborted; at += 1) {
      client.write('x');
      await settle();
    }
    assert.ok(peer.signal.aborted);
    assert.equal(room.heldBytes, 0);
  });

  it('is given back when the line is whole', async () => {
    const room = new LineRoom(10_000);
    const { client, peer } = connect(room);
    client.write('{"jsonrpc":"2.0","method":"a"');
    await settle();
    assert.ok(room.heldBytes > 0);
    client.write('}\n');
    await settle();
    assert.equal(room.heldBytes, 0);
    assert.ok(!peer.signal.aborted);
  });
});
