import assert from 'node:assert/strict';
import { AttemptStory } from '../../../src/cli/attempt-story.ts';
import type { Job } from '../../../src/rpc/index.ts';

const NAMES: Readonly<Record<string, string>> = { p1: 'desk', p2: 'cellar' };
const nameOf = (peerId: string) => NAMES[peerId] ?? peerId;
const lost = (attempt: number, node = 'p1') => ({
  attempt,
  node,
  outcome: 'lost',
  error: { code: 'LOST', message: 'its node was silent for 4012 ms' },
});
const failed = (attempt: number) => ({
  attempt,
  node: 'p2',
  outcome: 'failed',
  error: { code: 'EXIT_CODE', message: 'sh exited with 3' },
});

function job(fields: Partial<Job>): Job {
  return {
    id: 'j',
    spec: {},
    state: 'running',
    attempt: 1,
    node: 'p1',
    fencingToken: 1,
    submittedAt: 0,
    startedAt: 0,
    finishedAt: null,
    result: null,
    error: null,
    history: [],
    ...fields,
  };
}

describe('the story of the attempts of a job', () => {
  it('of one that runs well is short', () => {
    const story = new AttemptStory();
    assert.deepEqual(story.next(job({ state: 'queued', attempt: 0, node: null }), nameOf), []);
    assert.deepEqual(story.next(job({}), nameOf), []);
    const history = [{ attempt: 1, node: 'p1', outcome: 'succeeded', error: null }];
    assert.deepEqual(story.next(job({ state: 'succeeded', finishedAt: 1, history }), nameOf), []);
  });

  it('says that an attempt was lost, why, what comes, and where it runs again: each once', () => {
    const story = new AttemptStory();
    const waits = job({ state: 'queued', history: [lost(1)] });
    assert.deepEqual(story.next(waits, nameOf), [
      'attempt 1 of j on desk was lost: its node was silent for 4012 ms; it waits to run again as attempt 2',
    ]);
    assert.deepEqual(story.next(waits, nameOf), []);
    const again = job({ attempt: 2, node: 'p2', history: [lost(1)] });
    assert.deepEqual(story.next(again, nameOf), ['attempt 2 of j runs on cellar']);
    assert.deepEqual(story.next(again, nameOf), []);
  });

  it('says so too of what was not seen as it happened', () => {
    const story = new AttemptStory();
    assert.deepEqual(story.next(job({ attempt: 3, node: 'p3', history: [lost(1), failed(2)] }), nameOf), [
      'attempt 1 of j on desk was lost: its node was silent for 4012 ms',
      'attempt 2 of j on cellar failed: sh exited with 3',
      'attempt 3 of j runs on p3',
    ]);
  });

  it('of a failure says whether a pause or a person is waited for', () => {
    for (const [state, what] of [
      ['scheduled', 'it runs again as attempt 2 after a pause'],
      ['paused', 'it is paused'],
    ] as const)
      assert.deepEqual(new AttemptStory().next(job({ state, history: [failed(1)] }), nameOf), [
        `attempt 1 of j on cellar failed: sh exited with 3; ${what}`,
      ]);
  });

  it('leaves the end of the last attempt to whoever tells how the job did', () => {
    const story = new AttemptStory();
    const dead = job({ state: 'dead', attempt: 2, finishedAt: 1, history: [failed(1), failed(2)] });
    assert.deepEqual(story.next(dead, nameOf), ['attempt 1 of j on cellar failed: sh exited with 3']);
  });
});
