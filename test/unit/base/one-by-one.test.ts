import assert from 'node:assert/strict';
import { OneByOne, OneByOneOf } from '../../../src/base/index.ts';

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

describe('one by one for each key', () => {
  it('keeps tasks of one key apart, and lets those of another go on', async () => {
    const tasks = new OneByOneOf<string>();
    const gate = Promise.withResolvers<void>();
    const seen: string[] = [];
    const first = tasks.run('a', async () => {
      await gate.promise;
      seen.push('first of a');
    });
    const second = tasks.run('a', async () => seen.push('second of a'));
    await tasks.run('b', async () => seen.push('b'));
    assert.deepEqual(seen, ['b']);
    gate.resolve();
    await Promise.all([first, second]);
    assert.deepEqual(seen, ['b', 'first of a', 'second of a']);
  });

  it('goes on after a task that failed, and tells its caller alone', async () => {
    const tasks = new OneByOneOf<string>();
    const failed = tasks.run('a', () => Promise.reject(new Error('disk')));
    const next = tasks.run('a', async () => 'done');
    await assert.rejects(failed, /disk/);
    assert.equal(await next, 'done');
  });
});
