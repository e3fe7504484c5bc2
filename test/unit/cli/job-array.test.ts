import assert from 'node:assert/strict';
import { CliWorld, type Ran } from './harness.ts';

interface Call {
  readonly method: string;
  readonly params: unknown;
}

describe('many jobs from the command line', () => {
  let world: CliWorld;

  beforeEach(async () => {
    world = await CliWorld.create();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  const run = (...args: string[]): Promise<Ran> => world.run(args);
  const submitted = (): readonly Record<string, unknown>[] =>
    (world.agent.calls as readonly Call[])
      .filter(({ method }) => method === 'job.submitMany')
      .flatMap(({ params }) => (params as { jobs: Record<string, unknown>[] }).jobs);

  it('an array is one job for each index, which a program finds in its environment', async () => {
    const ran = await run('run', '--array', '3-5', '--id', 'job_x', '--detach', '-o', 'id', '--', 'convert');
    assert.equal(ran.code, 0, ran.stderr);
    assert.deepEqual(ran.stdout.trim().split('\n'), ['job_x-3', 'job_x-4', 'job_x-5']);
    assert.deepEqual(
      submitted().map(({ payload }) => (payload as { env: object }).env),
      ['3', '4', '5'].map((index) => ({ ASPEN_ARRAY_INDEX: index })),
    );
  });

  it('an array of another type has the index in the payload, and one key for each', async () => {
    const flags = ['--array', '1-2', '--idempotency-key', 'k', '--label', 'team=web'];
    assert.equal((await run('job', 'submit', 'paint', '{"of":"a wall"}', ...flags)).code, 0);
    assert.deepEqual(
      submitted().map(({ payload, idempotencyKey }) => [payload, idempotencyKey]),
      [
        [{ of: 'a wall', arrayIndex: 1 }, 'k-1'],
        [{ of: 'a wall', arrayIndex: 2 }, 'k-2'],
      ],
    );
    const [first, second] = submitted().map(({ labels }) => labels as Record<string, string>);
    assert.equal(first?.['team'], 'web');
    assert.equal(first?.['aspen.array'], second?.['aspen.array']);
  });

  it('a large array goes in several requests', async () => {
    assert.equal((await run('job', 'submit', 'echo', '--array', '1-1200')).code, 0);
    assert.equal(submitted().length, 1_200);
    const requests = (world.agent.calls as readonly Call[]).filter(
      ({ method }) => method === 'job.submitMany',
    );
    assert.equal(requests.length, 3);
  });

  const wrong: readonly (readonly [why: string, args: string[], says: RegExp])[] = [
    ['what is no range', ['--array', 'many'], /FROM-TO/],
    ['a range that ends before it begins', ['--array', '5-1'], /ends before/],
    ['more than anyone means', ['--array', '1-99999999'], /more than 10000/],
    ['a parent with an unknown condition', ['--depends-on', 'job_a:maybe'], /success, failure, any/],
    ['an unknown policy', ['--on-dependency-failure', 'pray'], /pray/],
    ['a queue timeout that is no duration', ['--queue-timeout', 'soon'], /soon/],
  ];
  for (const [why, args, says] of wrong) {
    it(`refuses ${why}`, async () => {
      const ran = await run('job', 'submit', 'echo', ...args);
      assert.equal(ran.code, 2, ran.stderr);
      assert.match(ran.stderr, says);
      assert.deepEqual(submitted(), []);
    });
  }

  it('refuses an array whose payload has no room for the index', async () => {
    const ran = await run('job', 'submit', 'echo', '7', '--array', '1-2');
    assert.equal(ran.code, 2);
    assert.match(ran.stderr, /must be an object/);
  });

  it('passes the limits of a job on', async () => {
    await run('job', 'submit', 'echo', '1', '--id', 'job_a');
    const limits = ['--queue-timeout', '1m', '--heartbeat-timeout', '30s', '--deadline', '2100-01-01T00:00Z'];
    const ran = await run(
      'job',
      'submit',
      'echo',
      '2',
      ...limits,
      '--depends-on',
      'job_a:any',
      '--on-dependency-failure',
      'skip',
    );
    assert.equal(ran.code, 0, ran.stderr);
    const call = (world.agent.calls as readonly Call[]).at(-1) as Call;
    const { payload: _, ...spec } = call.params as Record<string, unknown>;
    assert.deepEqual(
      { ...spec, requestId: undefined },
      {
        type: 'echo',
        queueTimeoutMs: 60_000,
        heartbeatTimeoutMs: 30_000,
        deadlineAt: '2100-01-01T00:00Z',
        dependsOn: [{ id: 'job_a', on: 'any' }],
        onDependencyFailure: 'skip',
        requestId: undefined,
      },
    );
  });

  it('a file holds one spec a line, or a list', async () => {
    const lines = '{"type":"echo"}\n\n{"type":"paint"}\n';
    assert.equal((await world.run(['job', 'submit-file', '-'], { stdin: lines })).code, 0);
    assert.equal((await world.run(['job', 'submit-file', '-'], { stdin: '[{"type":"echo"}]' })).code, 0);
    assert.deepEqual(
      submitted().map(({ type }) => type),
      ['echo', 'paint', 'echo'],
    );
    const broken = await world.run(['job', 'submit-file', '-'], { stdin: '{"type":"echo"}\n{oops\n' });
    assert.equal(broken.code, 2);
    assert.match(broken.stderr, /line 2 is not JSON/);
  });

  for (const verb of ['retry', 'pause', 'resume'] as const) {
    it(`job ${verb} tells what became of the job`, async () => {
      await run('job', 'submit', 'echo', '1', '--id', 'job_a');
      const ran = await run('job', verb, 'job_a', '-o', 'json');
      assert.equal(ran.code, 0, ran.stderr);
      assert.match(ran.stdout, new RegExp(`aspen.job.${verb}/v1`));
    });
  }
});
