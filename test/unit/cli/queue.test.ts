import assert from 'node:assert/strict';
import { CliWorld } from './harness.ts';

describe('queues and dead jobs on the command line', () => {
  let world: CliWorld;
  const json = (...args: string[]) => world.json(args);
  const code = (...args: string[]) => world.codeOf(...args);

  beforeEach(async () => {
    world = await CliWorld.create();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  it('pauses a queue with a reason, shows it, and resumes it', async () => {
    const paused = await json('queue', 'pause', 'mail', '--reason', 'provider down');
    assert.deepEqual([paused['schema'], paused['paused']], ['aspen.queue.pause/v1', true]);
    assert.match((await world.run(['queue', 'list'])).stdout, /mail +paused: provider down +0 +0/);
    assert.equal((await json('queue', 'resume', 'mail'))['paused'], false);
    assert.match((await world.run(['queue', 'list', 'mail'])).stdout, /mail +open/);
  });

  it('takes bytes as a number, or as a size', async () => {
    for (const [given, bytes] of [
      ['1048576', 2 ** 20],
      ['1MiB', 2 ** 20],
      ['none', null],
    ] as const) {
      const { limits } = await json('queue', 'limit', 'mail', '--keep-bytes', given);
      assert.equal((limits as { maxFinishedBytes: number | null }).maxFinishedBytes, bytes);
    }
    await json('queue', 'limit', 'mail', '--keep-bytes', '64MiB');
    assert.match((await world.run(['queue', 'list'])).stdout, / 64MiB kept\n/);
    const { code, stderr } = await world.run(['queue', 'limit', 'mail', '--keep-bytes', '1 pound']);
    assert.equal(code, 2);
    assert.match(stderr, /1 pound/);
  });

  it('sets limits, keeps the others, lifts one with "none"', async () => {
    await json('queue', 'limit', 'mail', '--concurrency', '5', '--rate', '0.5', '--keep-dead', '30d');
    const { limits } = await json('queue', 'limit', 'mail', '--concurrency', 'none', '--per-key', '2');
    assert.deepEqual(limits, {
      concurrency: null,
      perKey: 2,
      ratePerSecond: 0.5,
      burst: null,
      maxWaiting: null,
      maxFinished: null,
      maxFinishedBytes: null,
      deadRetentionMs: 30 * 86_400_000,
    });
    assert.match((await world.run(['queue', 'list', 'mail'])).stdout, /2 a key, 0.5 a second, dead kept 30d/);
  });

  it('sets the rate of a type, the quotas of a namespace and the bounds of all jobs', async () => {
    await json('queue', 'limit-type', 'geocode', '--rate', '2', '--burst', '4');
    await json('namespace', 'limit', 'team-a', '--concurrency', '3', '--max-waiting', '0');
    await json('queue', 'limit-all', '--max-waiting', '500');
    const { stdout } = await world.run(['namespace', 'list']);
    assert.match(stdout, /team-a +0 +0 +3 at once, 0 may wait/);
    assert.match(stdout, /\(all\) +0 +0 +500 may wait/);
    assert.match(stdout, /geocode +2 a second, bursts of 4/);
  });

  it('refuses what cannot be, as wrong usage', async () => {
    assert.equal(await code('queue', 'limit', 'mail'), 2);
    assert.equal(await code('queue', 'limit', 'mail', '--concurrency', '0'), 2);
    assert.equal(await code('queue', 'limit', 'mail', '--rate', '-1'), 2);
    assert.equal(await code('queue', 'limit', 'mail', '--rate', '1e9'), 2);
    assert.equal(await code('queue', 'pause'), 2);
    assert.equal(await code('queue', 'limit', 'x'.repeat(129), '--concurrency', '1'), 2);
  });

  it('shows no dead jobs where there are none, and says which is missing', async () => {
    assert.match((await world.run(['dlq', 'list'])).stdout, /^ID +TYPE +QUEUE/);
    assert.deepEqual((await json('dlq', 'list', '--queue', 'mail'))['jobs'], []);
    const whole = `job_${'0'.repeat(26)}`;
    assert.equal(await code('dlq', 'redrive', whole), 3);
    assert.equal(await code('dlq', 'purge', whole), 3);
    assert.equal(await code('dlq', 'inspect', whole), 3);
    assert.match((await world.run(['dlq', 'redrive', '--all'])).stdout, /^0 jobs will run once more/);
    assert.deepEqual((await json('dlq', 'purge', '--type', 'a'))['purged'], []);
  });

  it('moves dead jobs only when told which', async () => {
    const { code: exitCode, stderr } = await world.run(['dlq', 'purge']);
    assert.equal(exitCode, 2);
    assert.match(stderr, /give an id, a filter \(--queue, --type, --reason\), or --all/);
    assert.equal(await code('dlq', 'redrive', 'job_1', '--queue', 'mail'), 2);
    assert.equal(await code('dlq', 'redrive', '--all', '--limit', '0'), 2);
  });
});
