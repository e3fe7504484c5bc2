import assert from 'node:assert/strict';
import { restHeap } from '../../../src/agent/heap-rest.ts';
import { osHeap } from '../../../src/agent/os-heap.ts';
import { silentLogger } from '../../../src/base/index.ts';
import { ManualClock } from '../lease/manual-clock.ts';

const MiB = 2 ** 20;

class Machine {
  readonly clock = new ManualClock();
  totalBytes = 120 * MiB;
  neededBytes = 50 * MiB;
  work: number | undefined = 0;
  isLeadingOthers = false;
  compactedMs: number[] = [];
  readonly rest = restHeap({
    clock: this.clock,
    log: silentLogger,
    heap: {
      totalBytes: () => this.totalBytes,
      compact: () => {
        this.totalBytes = this.neededBytes;
        this.compactedMs.push(this.clock.monotonicMs());
      },
    },
    workDone: () => this.work,
    isLeadingOthers: () => this.isLeadingOthers,
  });
}

describe('the heap of an agent with nothing to do', () => {
  it('is made small once the start is over, and not again and again', async () => {
    const machine = new Machine();
    await machine.clock.advance(600_000);
    assert.deepEqual(machine.compactedMs, [6_000]);
  });

  it('is made small though the group still agrees to who belongs to it', async () => {
    const machine = new Machine();
    for (let step = 0; step < 10; step += 1) {
      machine.work = step * 3;
      await machine.clock.advance(1_000);
    }
    assert.deepEqual(machine.compactedMs, [6_000]);
  });

  it('is left alone while the node is in no mesh', async () => {
    const machine = new Machine();
    machine.work = undefined;
    await machine.clock.advance(600_000);
    assert.deepEqual(machine.compactedMs, []);
    machine.work = 7;
    await machine.clock.advance(60_000);
    assert.equal(machine.compactedMs.length, 1);
  });

  it('is left alone while anything is done, and made small after it', async () => {
    const machine = new Machine();
    for (let step = 0; step < 60; step += 1) {
      machine.work = step * 100;
      await machine.clock.advance(1_000);
    }
    assert.deepEqual(machine.compactedMs, []);
    await machine.clock.advance(10_000);
    assert.equal(machine.compactedMs.length, 1);
    machine.totalBytes = 140 * MiB;
    machine.work = 6_000;
    await machine.clock.advance(30_000);
    assert.equal(machine.compactedMs.length, 1, 'more may come');
    await machine.clock.advance(10_000);
    assert.equal(machine.compactedMs.length, 2);
  });

  it('is left to the engine where the stop would be long, or others wait for the beats of this node', async () => {
    const machine = new Machine();
    machine.totalBytes = 300 * MiB;
    await machine.clock.advance(60_000);
    machine.totalBytes = 120 * MiB;
    machine.isLeadingOthers = true;
    await machine.clock.advance(60_000);
    assert.deepEqual(machine.compactedMs, []);
    machine.isLeadingOthers = false;
    await machine.clock.advance(2_000);
    assert.equal(machine.compactedMs.length, 1);
  });

  it('is worth no stop while it has not grown by half', async () => {
    const machine = new Machine();
    await machine.clock.advance(20_000);
    assert.equal(machine.compactedMs.length, 1);
    machine.totalBytes = 70 * MiB;
    await machine.clock.advance(60_000);
    assert.equal(machine.compactedMs.length, 1);
  });

  it('ends with it', async () => {
    const machine = new Machine();
    machine.rest[Symbol.dispose]();
    await machine.clock.advance(60_000);
    assert.deepEqual(machine.compactedMs, []);
  });
});

describe('the heap of V8', () => {
  it('gives back what it does not need', () => {
    let ballast: number[][] | undefined = Array.from({ length: 200_000 }, () => [1, 2, 3, 4]);
    const before = osHeap.totalBytes();
    assert.equal(ballast.length, 200_000);
    ballast = undefined;
    osHeap.compact();
    assert.ok(osHeap.totalBytes() < before, `${osHeap.totalBytes()} bytes of ${before}`);
    assert.equal('gc' in globalThis, false);
  });
});
