import assert from 'node:assert/strict';
import { BLOB_NAME_LIMIT, REFERENCES_LIMIT } from '../../../src/blobs/blob-state.ts';
import { ChunkSet } from '../../../src/blobs/chunks.ts';
import { jobsOver, type KeepOptions, keptAgain, newState } from '../../../src/blobs/keep-rules.ts';

const stateOf = (options: KeepOptions, nowMs = 100) =>
  newState({ sizeBytes: 1, origin: 'added', chunks: ChunkSet.full(1) }, options, nowMs);

describe('why a blob is kept', () => {
  it('begins with what was asked for', () => {
    const state = stateOf({ isPinned: true, name: 'model.bin', jobId: 'job_1', keptForMs: 50 });
    assert.equal(state.isPinned, true);
    assert.equal(state.name, 'model.bin');
    assert.deepEqual(state.references, [{ jobId: 'job_1', sinceMs: 100, untilMs: 150 }]);
    assert.deepEqual(stateOf({}).references, []);
  });

  it('is never fewer reasons when it is asked for again', () => {
    const state = stateOf({ isPinned: true, name: 'model.bin', jobId: 'job_1' });
    const again = { ...state, ...keptAgain(state, { isPinned: false, name: 'other', jobId: 'job_2' }, 200) };
    assert.equal(again.isPinned, true);
    assert.equal(again.name, 'model.bin');
    assert.equal(again.usedAtMs, 200);
    assert.deepEqual(
      again.references.map(({ jobId }) => jobId),
      ['job_1', 'job_2'],
    );
  });

  it('names a job once, since it was first named', () => {
    const state = stateOf({ jobId: 'job_1' });
    assert.equal(keptAgain(state, { jobId: 'job_1', keptForMs: 1 }, 200).references, undefined);
  });

  it('names the newest jobs where there are too many, and a name that is cut', () => {
    let state = stateOf({ name: 'x'.repeat(BLOB_NAME_LIMIT + 1) });
    assert.equal(state.name?.length, BLOB_NAME_LIMIT);
    for (let job = 0; job <= REFERENCES_LIMIT; job += 1)
      state = { ...state, ...keptAgain(state, { jobId: `job_${job}` }, job) };
    assert.equal(state.references.length, REFERENCES_LIMIT);
    assert.equal(state.references[0]?.jobId, 'job_1');
  });

  it('G4 ends with the time of its own, and of no other job', () => {
    const timed = stateOf({ jobId: 'job_1', keptForMs: 50 });
    const state = { ...timed, ...keptAgain(timed, { jobId: 'job_2' }, 100) };
    assert.deepEqual([...jobsOver(state.references, 149)], []);
    assert.deepEqual([...jobsOver(state.references, 150)], ['job_1']);
  });
});
