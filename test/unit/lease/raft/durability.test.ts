import assert from 'node:assert/strict';
import { InvariantError } from '../../../../src/base/assert.ts';
import { RaftLog } from '../../../../src/lease/raft/log.ts';
import { Disk } from '../../../sim/raft/disk.ts';
import { append, at, Bench, command, ofType, voters } from './kit.ts';

describe('raft: durability', () => {
  it('a late report of a write that was overwritten vouches for nothing of what replaced it (R1)', () => {
    const log = new RaftLog(new Disk(voters('a')), { commitIndex: at(0), appliedIndex: at(0) });
    log.append([command(1, 1), command(2, 2)]);
    log.takeWrite(1);
    log.truncate(at(2));
    log.append([command(2, 3)]);
    log.takeWrite(2);
    log.truncate(at(2));
    log.append([command(2, 3)]);
    assert.equal(log.takeWrite(3)?.truncateFrom, 2);
    log.persisted(1);
    assert.equal(log.durableIndex, 1);
    log.persisted(2);
    assert.equal(log.durableIndex, 1, 'the same index and term, but about to be overwritten');
    log.persisted(3);
    assert.equal(log.durableIndex, 2);
  });

  it('what is committed cannot be cut (R2)', () => {
    const log = new RaftLog(new Disk(voters('a')), { commitIndex: at(0), appliedIndex: at(0) });
    log.append([command(1, 1)]);
    log.commitTo(1);
    assert.throws(() => log.truncate(at(1)), InvariantError);
  });

  it('a log cut far below where it was opened keeps what it holds (seed 80)', () => {
    const disk = new Disk(voters('a'));
    const old = Array.from({ length: 3_000 }, (_, n) => command(n + 1, 1));
    disk.write({ hardState: null, truncateFrom: null, entries: old });
    const log = new RaftLog(disk, { commitIndex: at(10), appliedIndex: at(10) });
    log.truncate(at(11));
    log.append([command(11, 2), command(12, 2)]);
    const write = log.takeWrite(1);
    disk.write({ hardState: null, truncateFrom: write?.truncateFrom ?? null, entries: write?.entries ?? [] });
    log.persisted(1);
    log.commitTo(12);
    assert.deepEqual(
      log.takeCommitted(1e6).map(({ index }) => Number(index)),
      [11, 12],
    );
  });

  it('an acknowledgment of entries on their way to the disk waits for them, in a Ready without a write too (R5)', () => {
    const bench = new Bench('a');
    bench.hear('b', append({ entries: [command(1, 1)] }));
    const first = bench.take();
    bench.hear('b', append({ entries: [command(1, 1)] }));
    const again = bench.take();
    assert.equal(again.persist, null);
    assert.deepEqual([again.send, again.sendAfterPersist], [[], []]);
    bench.write(first);
    assert.equal(ofType(bench.settle(), 'appendAccepted')[0]?.matchIndex, 1);
  });

  it('a commit index alone writes nothing; it travels with the next entries', () => {
    const bench = new Bench('a');
    bench.step('b', append({ entries: [command(1, 1)] }));
    bench.hear('b', append({ previousIndex: 1, previousTerm: 1, commitIndex: 1 }));
    assert.equal(bench.take().persist, null);
    bench.hear('b', append({ previousIndex: 1, previousTerm: 1, entries: [command(2, 1)], commitIndex: 1 }));
    assert.equal(bench.take().persist?.hardState?.commitIndex, 1);
  });
});
