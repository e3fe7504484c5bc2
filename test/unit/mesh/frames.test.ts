import assert from 'node:assert/strict';
import fc from 'fast-check';
import { AspenError } from '../../../src/base/index.ts';
import {
  FrameDecoder,
  SEGMENT_BYTES_LEAST,
  SEGMENT_BYTES_LIMIT,
  signalSegment,
} from '../../../src/mesh/frame-codec.ts';
import { FrameQueue } from '../../../src/mesh/frame-queue.ts';
import { FRAME_BYTES_LIMIT, type Priority } from '../../../src/mesh/index.ts';

function drain(queue: FrameQueue): Uint8Array[] {
  const batches: Uint8Array[] = [];
  for (let batch = queue.takeBatch(); batch !== undefined; batch = queue.takeBatch()) batches.push(batch);
  return batches;
}

function decoder() {
  const frames: Buffer[] = [];
  const signals: string[] = [];
  const decode = new FrameDecoder({
    frame: (frame) => frames.push(Buffer.from(frame)),
    signal: (signal, payload) => signals.push(`${signal} ${Buffer.from(payload).toString()}`),
  });
  return { frames, signals, push: (chunk: Uint8Array) => decode.push(chunk) };
}

const frameOf = (length: number, fill: number) => Buffer.alloc(length, fill);

describe('frames on a byte stream', () => {
  it('N1 arrive as they were sent, however the stream is cut', () => {
    const sizes = fc.array(fc.tuple(fc.nat(200_000), fc.constantFrom<Priority>('raft', 'control', 'bulk')), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(sizes, fc.integer({ min: 1, max: 70_000 }), (frames, cut) => {
        const queue = new FrameQueue();
        for (const [at, [length, priority]] of frames.entries()) queue.push(frameOf(length, at), priority);
        const wire = Buffer.concat(drain(queue));
        const { frames: arrived, push } = decoder();
        for (let at = 0; at < wire.length; at += cut) push(wire.subarray(at, at + cut));
        const inOrder = (['raft', 'control', 'bulk'] as const).flatMap((wanted) =>
          [...frames.entries()].filter(([, [, priority]]) => priority === wanted),
        );
        assert.deepEqual(
          arrived,
          inOrder.map(([at, [length]]) => frameOf(length, at)),
        );
      }),
      { numRuns: 30 },
    );
  });

  it('let an urgent frame pass between the segments of a long one', () => {
    const queue = new FrameQueue();
    queue.push(frameOf(FRAME_BYTES_LIMIT, 1), 'bulk');
    const { frames, push } = decoder();
    push(queue.takeBatch() as Uint8Array);
    queue.push(frameOf(10, 2), 'raft');
    push(queue.takeBatch() as Uint8Array);
    assert.deepEqual(frames, [frameOf(10, 2)]);
    for (const batch of drain(queue)) push(batch);
    assert.equal(frames[1]?.length, FRAME_BYTES_LIMIT);
  });

  it('leave many at once, so that small ones cost little', () => {
    const queue = new FrameQueue();
    for (let count = 0; count < 300; count += 1) queue.push(frameOf(200, 1), 'raft');
    assert.equal(drain(queue).length, 1);
  });

  it('leave in pieces of what may leave, where they can wait, and arrive whole; nothing leaves in crumbs', () => {
    const queue = new FrameQueue();
    const { push, frames } = decoder();
    const long = Buffer.alloc(3 * SEGMENT_BYTES_LEAST + 5, 'x');
    queue.push(long, 'bulk');
    queue.push(Buffer.alloc(0), 'bulk');
    queue.push(Buffer.from('now'), 'control');
    for (const room of [0, SEGMENT_BYTES_LEAST - 1, SEGMENT_BYTES_LEAST, 5, 2 * SEGMENT_BYTES_LEAST, 5]) {
      const batch = queue.takeBatch(room);
      if (batch !== undefined) push(batch);
    }
    assert.deepEqual(
      frames.map((frame) => Buffer.from(frame).toString()),
      ['now', long.toString(), ''],
    );
    assert.equal(queue.isEmpty, true);
  });

  it('are refused when the queue of their priority is full, and only then', () => {
    const queue = new FrameQueue({ queueBytesLimit: 2_000 });
    assert.ok(queue.push(frameOf(1_500, 1), 'bulk'));
    assert.ok(!queue.push(frameOf(600, 1), 'bulk'));
    assert.ok(queue.push(frameOf(600, 1), 'raft'));
    drain(queue);
    assert.ok(queue.isEmpty);
    assert.ok(queue.push(frameOf(600, 1), 'bulk'));
    assert.ok(!new FrameQueue({ queueBytesLimit: 2 ** 30 }).push(frameOf(FRAME_BYTES_LIMIT + 1, 1), 'bulk'));
  });

  it('travel beside the signals of the channel', () => {
    const { signals, push } = decoder();
    push(signalSegment('ping', Buffer.from('one')));
    push(signalSegment('hello', Buffer.from('two')));
    assert.deepEqual(signals, ['ping one', 'hello two']);
  });

  it('N2 end the channel when one is longer than the limit', () => {
    const { push } = decoder();
    const segment = Buffer.alloc(4 + SEGMENT_BYTES_LIMIT);
    segment.writeUInt16BE(SEGMENT_BYTES_LIMIT, 2); // of kind 0, not the last
    assert.throws(
      () => {
        for (let count = 0; count <= FRAME_BYTES_LIMIT / SEGMENT_BYTES_LIMIT; count += 1) push(segment);
      },
      { code: 'INVALID_REQUEST' },
    );
  });

  it('N2 end the channel when one comes in crumbs: each would cost more than it carries', () => {
    for (const length of [0, 1, SEGMENT_BYTES_LEAST - 1]) {
      const segment = Buffer.alloc(4 + length);
      segment.writeUIntBE(length, 1, 3);
      assert.throws(() => decoder().push(segment), { code: 'INVALID_REQUEST' });
    }
  });

  it('fail only with an AspenError, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 10 }), (chunks) => {
        const { push } = decoder();
        try {
          for (const chunk of chunks) push(chunk);
        } catch (error) {
          assert.ok(error instanceof AspenError);
        }
      }),
    );
  });
});
