import assert from 'node:assert/strict';
import { OneByOne } from '../../../src/base/index.ts';

describe('one by one', () => {
  it('begins a task when the one before it has ended, and gives each caller its own result', async () => {
    const tasks = new OneByOne();
    const gate = Promise.withResolvers<void>();
    const seen: string[] = [];
    const first = tasks.run(async () => {
      seen.push('first begins');
      await gate.promise;
      seen.push('first ends');
      return 1;
    });
    const second = tasks.run(async () => {
      seen.push('second');
      return 2;
    });
    await Promise.resolve();
    assert.deepEqual(seen, ['first begins']);
    gate.resolve();
    assert.deepEqual(await Promise.all([first, second]), [1, 2]);
    assert.deepEqual(seen, ['first begins', 'first ends', 'second']);
  });

  it('goes on after a task that failed, and tells its caller alone', async () => {
    const tasks = new OneByOne();
    const failed = tasks.run(() => Promise.reject(new Error('disk')));
    const next = tasks.run(async () => 'done');
    await assert.rejects(failed, /disk/);
    assert.equal(await next, 'done');
  });
});
