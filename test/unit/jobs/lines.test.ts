import assert from 'node:assert/strict';
import type { NodeView } from '../../../src/affinity/index.ts';
import type { PeerId } from '../../../src/base/index.ts';
import { Lines } from '../../../src/jobs/lines.ts';
import { placementOf, planAssignments, type StartGate } from '../../../src/jobs/plan.ts';
import type { ReadyJob } from '../../../src/jobs/ready-queue.ts';
import { specOf } from './jobs-bench.ts';

const SPEC = specOf({ queue: 'mail' });
const PLACEMENT = placementOf(SPEC);
const NODE: NodeView = {
  peerId: 'ann' as PeerId,
  role: 'worker',
  types: ['echo'],
  labels: {},
  totalSlots: 9,
  freeSlots: 9,
  isDraining: false,
  isSuspect: false,
  silentForMs: 0,
};

function ofKey(id: string, concurrencyKey = 'x'): ReadyJob {
  return { id, key: id, concurrencyKey };
}

/** Lets one of each key start for each plan. */
function plan(lines: Lines, isFull: (key: string) => boolean = () => false): string[] {
  const started = new Set<string>();
  const gate: StartGate = {
    held: (_line, { concurrencyKey = '' }) =>
      started.has(concurrencyKey) || isFull(concurrencyKey) ? 'job' : undefined,
    start: (_line, { concurrencyKey = '' }) => void started.add(concurrencyKey),
  };
  const options = { limit: 10, nowMs: 0, seed: 1, gate };
  return planAssignments(lines.all(), [NODE], options).map(({ job }) => job.id);
}

describe('lines of waiting jobs with a limit for each key', () => {
  let lines: Lines;

  beforeEach(() => {
    lines = new Lines();
    for (const id of ['a', 'b', 'c']) lines.add(ofKey(id), PLACEMENT, SPEC);
  });

  it('set the others of a full key aside and bring one back when one ends (P8)', () => {
    assert.deepEqual(plan(lines), ['a']);
    assert.equal(lines.size, 0);
    assert.deepEqual(plan(lines), []);
    lines.unpark('mail', 'x');
    assert.equal(lines.size, 1);
    assert.deepEqual(plan(lines), ['b']);
  });

  it('bring the next back when one that was given back leaves its line unstarted (P8)', () => {
    assert.deepEqual(plan(lines), ['a']);
    lines.add(ofKey('a'), PLACEMENT, SPEC);
    lines.remove(ofKey('a'), PLACEMENT, SPEC);
    assert.deepEqual(plan(lines), ['b']);
  });

  it('hold a job once, also one that is added again while it is set aside', () => {
    plan(lines);
    lines.add(ofKey('b'), PLACEMENT, SPEC);
    assert.equal(lines.size, 0);
    lines.unparkAll();
    assert.deepEqual([plan(lines), plan(lines)], [['b'], []]);
    lines.remove(ofKey('c'), PLACEMENT, SPEC);
    lines.unparkAll();
    assert.deepEqual(plan(lines), []);
  });

  it('bring nothing of another queue or key back', () => {
    plan(lines);
    lines.unpark('web', 'x');
    lines.unpark('mail', 'y');
    assert.equal(lines.size, 0);
  });

  it('let a job of another key pass, in order, behind thousands that are set aside', () => {
    for (let at = 0; at < 3_000; at += 1) lines.add(ofKey(`d${at}`), PLACEMENT, SPEC);
    lines.add(ofKey('z', 'y'), PLACEMENT, SPEC);
    assert.deepEqual(
      plan(lines, (key) => key === 'x'),
      ['z'],
    );
  });
});
