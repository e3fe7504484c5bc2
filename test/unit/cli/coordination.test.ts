import assert from 'node:assert/strict';
import { CliWorld } from './harness.ts';

describe('coordination on the command line', () => {
  let world: CliWorld;
  const json = (...args: string[]) => world.json(args);
  const code = (...args: string[]) => world.codeOf(...args);

  beforeEach(async () => {
    world = await CliWorld.create();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  for (const [noun, flags] of [
    ['lock', []],
    ['semaphore', ['--limit', '1']],
  ] as const) {
    it(`takes a ${noun}, renews it, shows it, and gives it back`, async () => {
      const held = await json(noun, 'acquire', 'nightly', ...flags);
      assert.equal(held['schema'], `aspen.${noun}.acquire/v1`);
      const lease = held['leaseId'] as string;
      assert.equal(await code(noun, 'acquire', 'nightly', ...flags), 4);
      assert.equal(await code(noun, 'acquire', 'nightly', ...flags, '--wait', '50ms'), 8);
      const late = await world.run([noun, 'run', 'nightly', ...flags, '--wait', '1s', '--', 'true'], PATH);
      assert.match(late.stderr, /was not free within 1s\n/);
      assert.equal((await json(noun, 'renew', 'nightly', lease))['fencingToken'], held['fencingToken']);
      assert.match((await world.run([noun, 'get', 'nightly'])).stdout, new RegExp(`${lease} +holds`));
      assert.match((await world.run([noun, 'list', 'night'])).stdout, new RegExp(`nightly +1/1.*${lease}`));
      assert.equal(await code(noun, 'release', 'nightly', lease), 0);
      assert.equal(await code(noun, 'release', 'nightly', lease), 4);
      assert.match((await world.run([noun, 'get', 'nightly'])).stdout, /state +free/);
    });

    it(`runs a program under a ${noun}, with its code and its token, and gives it back`, async () => {
      const script = '[ "$ASPEN_FENCING_TOKEN" -gt 0 ] && [ "$ASPEN_LOCK_NAME" = nightly ] && exit 7';
      const ran = await world.run([noun, 'run', 'nightly', ...flags, '--', 'sh', '-c', script], PATH);
      assert.equal(ran.code, 7, ran.stderr);
      assert.equal((await world.run([noun, 'run', 'nightly', ...flags, '--', 'no-such'], PATH)).code, 127);
      assert.match((await world.run([noun, 'get', 'nightly'])).stdout, /state +free/);
    });
  }

  it('ends a program whose lock is taken away, and says so with 4', async () => {
    const running = world.run(['lock', 'run', 'a', '--ttl', '1s', '--', 'sleep', '60'], PATH);
    let lease: string | undefined;
    while (lease === undefined) {
      const { holders } = await json('lock', 'get', 'a');
      lease = (holders as { leaseId: string }[])[0]?.leaseId;
    }
    await json('lease', 'revoke', lease);
    const { code: exitCode, stderr } = await running;
    assert.equal(exitCode, 4);
    assert.match(stderr, /lock "a" was lost, the program was ended/);
  });

  it('says what is missing or wrong', async () => {
    assert.equal(await code('semaphore', 'acquire', 'a'), 2);
    assert.equal(await code('lock', 'run', 'a', '--ttl', '10ms', '--', 'true'), 2);
    assert.equal(await code('lock', 'acquire', ''), 2);
    assert.equal(await code('counter', 'add', 'a', 'x'), 2);
    assert.equal(await code('election', 'leader', 'nobody'), 3);
    assert.equal(await code('lease', 'get', `lse_${'0'.repeat(26)}`), 3);
  });

  it('campaigns, proclaims, shows the leader, resigns', async () => {
    const lease = (await json('election', 'campaign', 'web', 'one'))['leaseId'] as string;
    assert.equal((await world.run(['election', 'leader', 'web'])).stdout, 'one\n');
    assert.equal(await code('election', 'proclaim', 'web', lease, 'uno'), 0);
    assert.match((await world.run(['election', 'leader', 'web', '-o', 'wide'])).stdout, /value +uno/);
    assert.equal(await code('election', 'campaign', 'web', 'two'), 4);
    assert.equal(await code('election', 'renew', 'web', lease), 0);
    assert.match((await world.run(['election', 'list'])).stdout, /web/);
    assert.equal(await code('election', 'resign', 'web', lease), 0);
    assert.equal(await code('election', 'renew', 'web', lease), 4);
    const ran = await world.run(['election', 'run', 'web', '--value', 'x', '--', 'true'], PATH);
    assert.equal(ran.code, 0, ran.stderr);
  });

  it('prints each leader and each change of a service until it is interrupted', async () => {
    let seen = '';
    const lines = async (count: number) => {
      while (seen.split('\n').length <= count) await new Promise((resolve) => setImmediate(resolve));
    };
    const onStdout = (text: string) => {
      seen = text;
    };
    const observing = world.run(['election', 'observe', 'web'], { onStdout });
    await lines(1);
    const interrupt = world.interruptOf();
    await json('election', 'campaign', 'web', 'one');
    await lines(2);
    interrupt();
    assert.equal((await observing).stdout, '(nobody leads)\none\n');
    seen = '';
    const watching = world.run(['service', 'watch', 'web', '-o', 'jsonl'], { onStdout });
    await lines(1);
    const interruptWatch = world.interruptOf();
    await json('service', 'register', 'web', 'a:1');
    await lines(2);
    interruptWatch();
    const notes = (await watching).stdout.trimEnd().split('\n');
    const counts = notes.map((line) => (JSON.parse(line) as { endpoints: unknown[] }).endpoints.length);
    assert.deepEqual(counts, [0, 1]);
  });

  it('counts, and hands numbers out', async () => {
    assert.equal((await world.run(['counter', 'add', 'c'])).stdout, '1\n');
    assert.equal((await world.run(['counter', 'add', 'c', '--', '-5'])).stdout, '-4\n');
    assert.equal(await code('counter', 'cas', 'c', '--expected', '7', '--value', '1'), 4);
    assert.equal((await json('counter', 'cas', 'c', '--expected', '-4', '--value', '1'))['value'], 1);
    assert.match((await world.run(['counter', 'list'])).stdout, /c +1/);
    assert.equal(await code('counter', 'delete', 'c'), 0);
    assert.equal((await world.run(['counter', 'get', 'c'])).stdout, '0\n');
    assert.equal((await world.run(['sequence', 'next', 's'])).stdout, '1\n');
    assert.equal((await world.run(['sequence', 'next', 's', '--count', '3'])).stdout, '2 to 4\n');
  });

  it('lists services under leases', async () => {
    const lease = (await json('lease', 'grant', '--ttl', '1m'))['leaseId'] as string;
    assert.equal(await code('service', 'register', 'web', 'a:1', '--lease', lease, '--label', 'z=eu'), 0);
    assert.equal(await code('service', 'register', 'web', 'b:1'), 0);
    assert.equal((await world.run(['service', 'get', 'web', '-o', 'id'])).stdout, 'a:1\nb:1\n');
    assert.equal((await world.run(['service', 'get', 'web', '--label', 'z=eu', '-o', 'id'])).stdout, 'a:1\n');
    assert.match((await world.run(['service', 'list'])).stdout, /web +2/);
    assert.equal(await code('service', 'deregister', 'web', lease), 0);
    assert.equal(await code('lease', 'keep-alive', lease), 0);
    assert.match((await world.run(['lease', 'list'])).stdout, new RegExp(lease));
    assert.equal(await code('lease', 'revoke', lease), 0);
  });
});

const PATH = { env: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' } };
