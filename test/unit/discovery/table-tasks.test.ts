import assert from 'node:assert/strict';
import { silentLogger } from '../../../src/base/index.ts';
import { TableTasks } from '../../../src/discovery/table-tasks.ts';
import { ManualClock, settle } from '../lease/manual-clock.ts';

describe('tasks of the table of addresses', () => {
  let clock: ManualClock;
  let tasks: TableTasks;
  let done: string[];
  beforeEach(() => {
    clock = new ManualClock();
    tasks = new TableTasks({ clock, log: silentLogger });
    done = [];
    tasks.start();
  });
  afterEach(() => tasks.stop());
  const noting = (what: string) => async () => void done.push(what);

  it('are done one after the other, each once however often it is asked for', async () => {
    const gate = Promise.withResolvers<void>();
    tasks.add('first', () => gate.promise);
    for (const what of ['second', 'third', 'second']) tasks.add(what, noting(what));
    await settle();
    assert.deepEqual(done, []);
    gate.resolve();
    await settle();
    assert.deepEqual(done, ['second', 'third']);
  });

  it('do not wait for one that fails, or takes too long', async () => {
    tasks.add('fails', () => Promise.reject(new Error('nobody answers')));
    tasks.add('hangs', () => new Promise(() => undefined));
    tasks.add('last', noting('last'));
    await clock.advance(19_000);
    assert.deepEqual(done, []);
    await clock.advance(2_000);
    assert.deepEqual(done, ['last']);
  });

  it('are dropped where too many wait, and when it ends', async () => {
    const gate = Promise.withResolvers<void>();
    tasks.add('first', () => gate.promise);
    for (let number = 0; number < 100; number += 1) tasks.add(`task ${number}`, noting(`${number}`));
    gate.resolve();
    await settle();
    assert.equal(done.length, 32);
    tasks.add('hangs', () => new Promise(() => undefined));
    tasks.add('never', noting('never'));
    await tasks.stop();
    assert.ok(!done.includes('never'));
  });
});
