import assert from 'node:assert/strict';
import { SeededRandom } from '../../../src/base/index.ts';
import { AttemptBook } from '../../../src/jobs/attempt-book.ts';
import { LocalAttempt } from '../../../src/jobs/local-attempt.ts';
import type { Assignment } from '../../../src/jobs/wire.ts';

const REMEMBERED = 10_000;

describe('the attempts of a node', () => {
  it('are known to be over, in whatever order they end, and no other is said to be (X1)', () => {
    const random = new SeededRandom(1);
    const book = new AttemptBook();
    const ended = new Map<string, number>();
    for (let token = 1; token < REMEMBERED; token += 1) {
      // Of a hundred jobs; some attempts end long after later ones of other jobs.
      const ref = refOf(`job_${random.uint32() % 100}`, Math.max(1, token - (random.uint32() % 500)));
      assert.equal(book.isOver(ref), ref.fencingToken <= (ended.get(ref.jobId) ?? 0), `token ${token}`);
      if (random.uint32() % 2 === 0) continue;
      book.end(ref);
      ended.set(ref.jobId, Math.max(ref.fencingToken, ended.get(ref.jobId) ?? 0));
    }
  });

  it('are remembered after their end while so many others end, and not for ever', () => {
    const book = new AttemptBook();
    const first = refOf('first', 1);
    book.end(first);
    for (let token = 2; token <= REMEMBERED; token += 1) book.end(refOf(`job_${token}`, token));
    assert.ok(book.isOver(first));
    for (let token = 1; token <= REMEMBERED; token += 1) book.end(refOf(`again_${token}`, token));
    assert.ok(!book.isOver(first));
    assert.ok(book.isOver(refOf('again_1', 1)));
  });

  it('are held until they end', () => {
    const book = new AttemptBook();
    const attempt = new LocalAttempt({ ...refOf('a', 3) } as Assignment, { sentAtMs: 0, holdMs: 1 });
    book.keep(attempt);
    assert.equal(book.find(refOf('a', 3)), attempt);
    assert.equal(book.size, 1);
    book.end(attempt.ref);
    assert.equal(book.find(refOf('a', 3)), undefined);
    assert.equal(book.size, 0);
  });
});

function refOf(jobId: string, fencingToken: number) {
  return { jobId, attempt: 1, fencingToken };
}
