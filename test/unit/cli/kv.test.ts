import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CliWorld, type CommandOptions } from './harness.ts';

describe('kv on the command line', () => {
  let world: CliWorld;
  const run = (args: readonly string[], options?: CommandOptions) => world.run(['kv', ...args], options);
  const json = (args: readonly string[], options?: CommandOptions) => world.json(['kv', ...args], options);
  const txn = (value: object, ...flags: string[]) => run(['txn', ...flags], { stdin: JSON.stringify(value) });

  beforeEach(async () => {
    world = await CliWorld.create();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  it('does a transaction from standard input, and says with 4 that nothing was done', async () => {
    const create = {
      compare: [{ key: 'a', version: 0 }],
      success: [
        { op: 'put', key: 'a', value: '1' },
        { op: 'get', key: 'a' },
      ],
    };
    const done = await json(['txn'], { stdin: JSON.stringify(create) });
    assert.equal(done['schema'], 'aspen.kv.txn/v1');
    assert.equal(done['succeeded'], true);
    const [put, got] = done['responses'] as [{ revision: number }, { value: string; revision: number }];
    assert.deepEqual([put.revision, got.value, got.revision], [done['revision'], '1', done['revision']]);
    assert.equal((await txn(create)).code, 4);
    const otherwise = { ...create, failure: [{ op: 'delete', prefix: '' }] };
    const { code, stdout } = await txn(otherwise);
    assert.equal(code, 0);
    assert.match(stdout, /^failure at revision \d+\n.*"deletedCount":1/);
  });

  it('does a transaction from a file, and names what is wrong in it by its path', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'aspen-txn-'));
    const file = join(directory, 'txn.json');
    await writeFile(file, '{"success":[{"op":"put","key":"a","value":"1"},{"op":"put","key":"b"}]}');
    const wrong = await run(['txn', file]);
    assert.equal(wrong.code, 2);
    assert.match(wrong.stderr, /success\[1\].*put takes a value/);
    await writeFile(file, '{');
    assert.match((await run(['txn', file])).stderr, /txn\.json is not JSON/);
    await writeFile(file, '{"success":[{"op":"put","key":"a","value":"1"}]}');
    assert.equal((await run(['txn', file])).code, 0);
    assert.equal((await run(['get', 'a'])).stdout, '1\n');
    await rm(directory, { recursive: true });
  });

  it('takes a value from standard input, as it is', async () => {
    const text = `first\n${'x'.repeat(200_000)}\nlast\n`;
    assert.equal((await run(['put', 'a', '-'], { stdin: text })).code, 0);
    assert.equal((await json(['get', 'a']))['value'], text);
    assert.equal((await run(['cas', 'a', '--expected', text, '--value', '-'], { stdin: 'new' })).code, 0);
    assert.equal((await run(['get', 'a'])).stdout, 'new\n');
  });

  it('names a directory that was given in place of a file', async () => {
    const { code, stderr } = await run(['txn', tmpdir()]);
    assert.equal(code, 2);
    assert.match(stderr, /cannot read .*EISDIR/);
    assert.doesNotMatch(stderr, /\n +at /);
  });

  it('refuses 129 operations, naming the limit', async () => {
    const success = Array.from({ length: 129 }, (_, at) => ({ op: 'get', key: `${at}` }));
    const { code, stderr } = await txn({ success });
    assert.equal(code, 2);
    assert.match(stderr, /success.*128.*KV_TXN_OPERATIONS_LIMIT/);
  });

  for (const [what, compare, says] of [
    ['two targets', { key: 'a', version: 1, value: 'x' }, /give one of value, version/],
    ['a target without a value', { key: 'a', target: 'version' }, /target, and value/],
    ['an unknown operator', { key: 'a', version: 1, op: '~' }, /compare\[0\]\.op/],
  ] as const) {
    it(`refuses a comparison with ${what}`, async () => {
      const { code, stderr } = await txn({ compare: [compare] });
      assert.equal(code, 2);
      assert.match(stderr, says);
    });
  }

  it('takes a comparison in either way of writing it', async () => {
    await run(['put', 'a', 'x']);
    for (const compare of [
      { key: 'a', value: 'x' },
      { key: 'a', target: 'value', op: '==', value: 'x' },
      { key: 'a', version: 0, op: '>' },
      { key: 'none', value: null },
      { key: 'a', target: 'lease', value: null },
    ]) {
      assert.equal((await txn({ compare: [compare] })).code, 0, JSON.stringify(compare));
    }
  });

  it('deletes a key when its lease ends', async () => {
    const { stdout } = await world.run(['lease', 'grant', '-o', 'id']);
    const lease = stdout.trim();
    assert.equal((await run(['put', 'a', 'x', '--lease', lease])).code, 0);
    assert.equal((await json(['get', 'a']))['leaseId'], lease);
    await world.run(['lease', 'revoke', lease]);
    assert.equal((await run(['get', 'a'])).code, 3);
    assert.equal((await run(['put', 'a', 'x', '--lease', lease])).code, 3);
  });

  it('says of a stale read how old it may be', async () => {
    await run(['put', 'a', 'x']);
    const read = await json(['get', 'a', '--consistency', 'stale']);
    assert.deepEqual([read['consistency'], read['ageMs']], ['stale', 0]);
    assert.equal((await json(['get', 'a', '--consistency', 'lease']))['consistency'], 'lease');
    assert.equal('consistency' in (await json(['get', 'a'])), false);
  });

  it('watches for as long as it was told to, and then ends with 8', async () => {
    const watched = await run(['watch', 'color', '--timeout', '50ms']);
    assert.equal(watched.code, 8);
    const wrong = await run(['watch', 'color'], { env: { ASPEN_TIMEOUT: 'soon' } });
    assert.deepEqual([wrong.code, wrong.stderr.includes('ASPEN_TIMEOUT: "soon"')], [2, true]);
    assert.match(watched.stderr, /watched color for 50ms, as --timeout said/);
  });

  it('watches a prefix until interrupted, a line a change', async () => {
    const first = (await json(['put', 'w/0', 'before']))['revision'] as number;
    let seen = '';
    const onStdout = (text: string) => {
      seen += text;
    };
    const args = ['watch', 'w/', '--prefix', '--from-revision', `${first}`, '-o', 'jsonl'];
    const watching = run(args, { onStdout });
    const lines = async (count: number) => {
      while (seen.split('\n').length <= count) await new Promise((resolve) => setTimeout(resolve, 10));
    };
    await lines(1);
    const interrupt = world.interruptOf();
    await run(['put', 'other', 'x']);
    await run(['put', 'w/0', 'after']);
    await run(['delete', 'w/0']);
    await lines(3);
    interrupt();
    const { stdout, code } = await watching;
    assert.equal(code, 0);
    const events = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; value: unknown; previous?: { value: string } });
    assert.deepEqual(
      events.map(({ type, value, previous }) => [type, value, previous?.value]),
      [
        ['put', 'before', undefined],
        ['put', 'after', 'before'],
        ['delete', null, 'after'],
      ],
    );
  });
});
