import assert from 'node:assert/strict';
import { StreamState, YamuxStream } from '@libp2p/yamux/stream';
import { giveCreditInHalves } from '../../../src/mesh/libp2p-credit.ts';

const WINDOW_BYTES = 100;
const NO_FLAGS = 0;

/** What the library's own method reads and calls. */
function streamWith(leftBytes: number, state: StreamState, flags = NO_FLAGS) {
  const sent: number[] = [];
  const stream = {
    state,
    recvWindow: WINDOW_BYTES,
    recvWindowCapacity: leftBytes,
    epochStart: 0,
    getRTT: () => -1,
    getSendFlags: () => flags,
    sendFrame: ({ length }: { readonly length: number }) => sent.push(length),
  };
  const update = () => YamuxStream.prototype.sendWindowUpdate.call(stream as unknown as YamuxStream);
  return { stream, sent, update };
}

describe('credit of a stream', () => {
  before(() => giveCreditInHalves());

  it('is not given back while more than half of the window is left', () => {
    const { sent, update } = streamWith(WINDOW_BYTES / 2 + 1, StreamState.Established);
    update();
    assert.deepEqual(sent, []);
  });

  it('is given back whole once half of it is used up', () => {
    const { stream, sent, update } = streamWith(WINDOW_BYTES / 2, StreamState.Established);
    update();
    assert.deepEqual(sent, [WINDOW_BYTES / 2]);
    assert.equal(stream.recvWindowCapacity, WINDOW_BYTES);
  });

  it('opens and accepts a stream at once', () => {
    for (const state of [StreamState.Init, StreamState.SYNReceived]) {
      const { sent, update } = streamWith(WINDOW_BYTES, state, 1);
      update();
      assert.deepEqual(sent, [0]);
    }
  });
});
