import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CliWorld } from './harness.ts';

const SECRET = 'a secret of some length';
const URL = 'https://example.org/in';

describe('hooks on the command line', () => {
  let world: CliWorld;
  let directory = '';
  const run = (...args: string[]) => world.run(['hook', ...args]);
  const json = (...args: string[]) => world.json(['hook', ...args]);

  beforeEach(async () => {
    world = await CliWorld.create();
    directory = await mkdtemp(join(tmpdir(), 'aspen-cli-hook-'));
  });
  afterEach(async () => {
    await world[Symbol.asyncDispose]();
    await rm(directory, { recursive: true });
  });

  it('says that deliveries are not signed once there is a hook, and not where there is none', async () => {
    const refused = await run('add', '--on', 'job.dead', '--url', 'nope');
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /^aspen-agent: --url: must be/);
    assert.match((await run('add', '--on', 'job.dead', '--url', URL)).stderr, /deliveries are not signed/);
  });

  it('adds one that signs, shows it without its secret, and removes it', async () => {
    const file = join(directory, 'secret');
    await writeFile(file, `${SECRET}\n`);
    const more = ['--type', 'render', '--queue', 'mail', '--label', 'team=web', '--secret-file', file];
    const added = await json('add', '--on', 'job.dead,job.skipped', '--url', URL, ...more);
    const { schema, url, on, type, queue, labels, signed, circuit } = added;
    assert.deepEqual(
      { schema, url, on, type, queue, labels, signed, circuit },
      {
        schema: 'aspen.hook.add/v1',
        url: URL,
        on: ['job.dead', 'job.skipped'],
        type: 'render',
        queue: 'mail',
        labels: { team: 'web' },
        signed: true,
        circuit: 'closed',
      },
    );
    const shown = [await run('list'), await run('get', 'last'), await run('list', '-o', 'json')];
    assert.equal(
      shown.some(({ stdout }) => stdout.includes(SECRET)),
      false,
    );
    assert.match(shown[0]?.stdout ?? '', /job.dead,job.skipped +https:\/\/example.org\/in +ok +0 +0/);
    assert.match((await run('remove', 'last')).stdout, /removed, 0 deliveries cancelled/);
    assert.deepEqual((await json('list'))['hooks'], []);
  });

  it('says when nothing is signed', async () => {
    const { stderr, code } = await run('add', '--on', 'job.dead', '--url', URL);
    assert.equal(code, 0);
    assert.match(stderr, /not signed/);
  });

  it('sends a test, pauses and resumes', async () => {
    await run('add', '--on', 'job.dead', '--url', URL);
    assert.match(String((await json('test', 'last'))['job']), /^job_hk_/);
    assert.equal((await json('pause', 'last', '--reason', 'moving'))['paused'], true);
    assert.match((await run('list')).stdout, /paused: moving +1 +0/);
    assert.equal((await json('resume', 'last'))['paused'], false);
  });

  for (const [args, code, said] of [
    [['add', '--on', 'job.ended', '--url', URL], 2, /"job.ended" is no event/],
    [['add', '--on', 'job.dead'], 2, /--url/],
    [['add', '--on', 'job.dead', '--url', 'ftp://example.org'], 2, /must be an http/],
    [['add', '--on', 'job.dead', '--url', 'https://me:pw@example.org'], 2, /without a user name/],
    [['add', '--on', 'job.dead', '--url', URL, '--secret-file', '/nowhere/at/all'], 2, /\/nowhere\/at\/all/],
    [['get', 'hook_none'], 3, /no hook hook_none/],
    [['remove', 'last'], 3, /no hook last/],
  ] as const)
    it(`refuses ${args.join(' ')}`, async () => {
      const { stderr, ...ended } = await run(...args);
      assert.equal(ended.code, code);
      assert.match(stderr, said);
    });

  it('refuses a secret that is too short', async () => {
    const file = join(directory, 'secret');
    await writeFile(file, 'short\nand more that is not looked at\n');
    const { code, stderr } = await run('add', '--on', 'job.dead', '--url', URL, '--secret-file', file);
    assert.equal(code, 2);
    assert.match(stderr, /less than 16 characters/);
    assert.equal(stderr.includes('short\n'), false);
  });
});
