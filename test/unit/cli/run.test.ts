import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { AspenError } from '../../../src/base/index.ts';
import type { Connection, Job } from '../../../src/rpc/index.ts';
import { CliWorld, type Ran } from './harness.ts';

const shell = (exitCode: number | null, signal: string | null = null, stdout = '') => ({
  exitCode,
  signal,
  stdout,
  stderr: '',
});
const failure = { code: 'EXIT_CODE', message: 'talk exited with 3', retryable: true };

describe('run', () => {
  let world: CliWorld;

  beforeEach(async () => {
    world = await CliWorld.create();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  it('copies each stream to its own and ends with the exit code of the program', async () => {
    world.agent.programs.set('talk', {
      output: [
        ['stdout', 'out\n'],
        ['stderr', 'err\n'],
        ['stdout', 'more\n'],
      ],
      result: shell(3, null, 'out\nmore\n'),
      state: 'dead',
      error: failure,
    });
    const talked = { code: 3, stdout: 'out\nmore\n', stderr: 'err\n' };
    assert.deepEqual(await world.run(['run', '--', 'talk']), talked);
    assert.deepEqual(
      await world.run(['run', '-o', 'table', '--', 'talk']),
      talked,
      'the default, by its name',
    );
  });

  for (const code of ['DENIED', 'LIMIT_EXCEEDED', 'PROCESSES_LEFT', 'SIGNAL'])
    it(`says what ended the program where that was not itself: ${code}`, async () => {
      const error = { code, message: 'the reason', retryable: false };
      world.agent.programs.set('talk', { result: shell(126), state: 'dead', error });
      const ran = await world.run(['run', '--', 'talk']);
      assert.equal(ran.code, 126);
      assert.match(ran.stderr, /dead: the reason/);
    });

  it('asks for one attempt unless it is told otherwise', async () => {
    await world.run(['run', '--', 'true']);
    const params = world.agent.calls.find(({ method }) => method === 'job.submit')?.params;
    assert.deepEqual((params as { retry: unknown }).retry, { maxAttempts: 1 });
  });

  it('asks for at most once when no loss is to be forgiven', async () => {
    await world.run(['run', '--max-losses', '0', '--', 'true']);
    const params = world.agent.calls.findLast(({ method }) => method === 'job.submit')?.params;
    assert.deepEqual((params as { retry: unknown }).retry, { maxAttempts: 1, maxLosses: 0 });
    assert.equal((await world.run(['run', '--max-losses', '-1', '--', 'true'])).code, 2);
  });

  it('sends standard input as it is, text or not', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'aspen-cli-run-'));
    const binary = join(directory, 'binary');
    await writeFile(binary, Buffer.from([0, 255, 10]));
    await world.run(['run', '--stdin', '-', '--', 'cat'], { stdin: 'grüße' });
    await world.run(['run', '--stdin', binary, '--', 'cat']);
    await rm(directory, { recursive: true });
    const payloads = world.agent.calls
      .filter(({ method }) => method === 'job.submit')
      .map(({ params }) => (params as { payload: object }).payload);
    assert.deepEqual(payloads, [
      { command: 'cat', args: [], stdin: 'grüße' },
      { command: 'cat', args: [], stdinBase64: 'AP8K' },
    ]);
  });

  it('ends with 128 and the number of the signal that ended the program', async () => {
    world.agent.programs.set('killed', { result: shell(null, 'SIGTERM'), state: 'dead', error: failure });
    assert.equal((await world.run(['run', '--', 'killed'])).code, 143);
  });

  it('says why a program could not be started', async () => {
    const error = { code: 'FAILED', message: 'spawn nope ENOENT', retryable: true };
    world.agent.programs.set('nope', { state: 'dead', error });
    const ran = await world.run(['run', '--', 'nope']);
    assert.deepEqual([ran.code, ran.stdout], [1, '']);
    assert.match(ran.stderr, /spawn nope ENOENT/);
  });

  it('says so where a program could not be started and ends with the code a shell would give', async () => {
    const error = { code: 'SPAWN_FAILED', message: 'nope cannot be started', retryable: false };
    world.agent.programs.set('nope', { state: 'dead', error, result: shell(127) });
    const ran = await world.run(['run', '--', 'nope']);
    assert.deepEqual([ran.code, ran.stdout], [127, '']);
    assert.match(ran.stderr, /nope cannot be started/);
  });

  it('says how much of the output is lost', async () => {
    world.agent.programs.set('flood', { lostBytes: 70, output: [['stdout', 'rest\n']], result: shell(0) });
    const ran = await world.run(['run', '--quiet', '--', 'flood']);
    assert.deepEqual([ran.code, ran.stdout], [0, 'rest\n']);
    assert.match(ran.stderr, /70 bytes of the output of job_\w+ are lost here/);
  });

  it('says that the output of another attempt begins, and does not take what it did not see for lost', async () => {
    const outputs = { output: [['stdout', 'one\n']], again: [['stdout', 'two\n']] } as const;
    world.agent.programs.set('twice', { ...outputs, result: shell(0, null, 'two\n') });
    const ran = await world.run(['run', '--', 'twice']);
    assert.deepEqual([ran.code, ran.stdout], [0, 'one\ntwo\n']);
    assert.match(ran.stderr, /^aspen-agent: the output of attempt 2 of job_\w+ begins\n$/);
    const lines = (await world.run(['job', 'logs', 'last', '-o', 'jsonl'])).stdout.trim().split('\n');
    assert.deepEqual(
      lines
        .map((line) => JSON.parse(line) as { attempt: number; offset: number })
        .map(({ attempt, offset }) => [attempt, offset]),
      [
        [1, 0],
        [2, 2 ** 40],
      ],
    );
  });

  it('shows what the record kept of the latest attempt also where an earlier one was streamed', async () => {
    const job = { attempt: 2, result: shell(0, null, 'two\n') };
    world.agent.programs.set('twice', {
      output: [['stdout', 'one\n']],
      runsUntilTold: true,
      streamBreaks: true,
    });
    const ran = world.run(['run', '--', 'twice'], {
      onStdout: (text) => {
        if (text === 'one\n') world.agent.finish([...world.agent.jobs.keys()][0] as string, job);
      },
    });
    assert.equal((await ran).stdout, 'one\ntwo\n');
  });

  it('shows the output that the record kept where the stream broke', async () => {
    world.agent.programs.set('lost', { streamBreaks: true, result: shell(0, null, 'kept\n') });
    const ran = await world.run(['run', '--', 'lost']);
    assert.deepEqual([ran.code, ran.stdout], [0, 'kept\n']);
  });

  it('passes flags of the program on, also without --', async () => {
    await world.run(['run', 'hostname', '-f', '--timeout', '5']);
    const params = world.agent.calls.find(({ method }) => method === 'job.submit')?.params;
    assert.deepEqual((params as { payload: unknown }).payload, {
      command: 'hostname',
      args: ['-f', '--timeout', '5'],
    });
  });

  it('stays with its job while the group chooses a leader', async () => {
    const wait = world.agent.handlers['job.wait'];
    const refusals = [new AspenError('NO_QUORUM', 'no leader')];
    Object.assign(world.agent.handlers, {
      'job.wait': (...args: Parameters<typeof wait>) => {
        const refusal = refusals.pop();
        return refusal === undefined ? wait(...args) : Promise.reject(refusal);
      },
    });
    assert.equal((await world.run(['run', '--', 'true'])).code, 0);
    assert.equal(refusals.length, 0);
  });

  it('stays with its job while its agent is away', async () => {
    const wait = world.agent.handlers['job.wait'];
    const gone = [new AspenError('UNAVAILABLE', 'stopping'), new AspenError('UNAVAILABLE', 'stopping')];
    Object.assign(world.agent.handlers, {
      'job.wait': (...args: Parameters<typeof wait>) => {
        const error = gone.pop();
        return error === undefined ? wait(...args) : Promise.reject(error);
      },
    });
    const ran = await world.run(['run', '--', 'true']);
    assert.equal(ran.code, 0);
    assert.match(ran.stderr, /the agent is away; job_\w+ goes on without it/);
    assert.equal(gone.length, 0);
  });

  describe('whose attempt is lost', () => {
    /** Runs a program whose node is lost while it runs, and which then runs on another one. */
    async function runLost(...flags: string[]) {
      world.agent.programs.set('long', { output: [['stdout', 'begun\n']], runsUntilTold: true });
      const { jobs, otherId, peerId } = world.agent;
      const error = { code: 'LOST', message: 'its node was silent for 4012 ms', retryable: true };
      const history = [{ attempt: 1, node: otherId, outcome: 'lost', error }];
      const setJob = (id: string, fields: Partial<Job>) =>
        jobs.set(id, { ...(jobs.get(id) as Job), ...fields, history });
      Object.assign(world.agent.handlers, {
        'job.watch': async (_: unknown, connection: Connection) => {
          const [id = ''] = jobs.keys();
          setJob(id, { state: 'queued' });
          setTimeout(() => {
            const running = { state: 'running' as const, attempt: 2, node: peerId };
            setJob(id, running);
            const change = { id, type: 'shell', queue: 'default', namespace: 'default', before: 'queued' };
            const rest = { errorCode: null, cursor: '1' };
            connection.notify('job.change', { subscription: 'sub_1', ...change, ...running, ...rest });
          }, 100);
          setTimeout(() => world.agent.finish(id, { result: shell(0) }), 200);
          return { subscription: 'sub_1' };
        },
      });
      return await world.run(['run', ...flags, '--', 'long']);
    }

    it('says so, and where it runs again', async () => {
      const { code, stderr } = await runLost();
      assert.equal(code, 0);
      assert.deepEqual(stderr.replaceAll(/job_\w+/g, 'j').split('\n'), [
        'aspen-agent: attempt 1 of j on other was lost: its node was silent for 4012 ms; it waits to run again as attempt 2',
        'aspen-agent: attempt 2 of j runs on fake',
        '',
      ]);
    });

    it('says nothing of it where nothing is to be said', async () => {
      assert.deepEqual([(await runLost('--quiet')).stderr, world.agent.jobs.size], ['', 1]);
    });
  });

  it('says of what failed and is tried again how, also where that was over in a moment', async () => {
    const history = [{ attempt: 1, node: world.agent.peerId, outcome: 'failed', error: failure }];
    const job = { attempt: 2, history, result: shell(0) };
    world.agent.programs.set('twice', { output: [['stdout', 'one\n']], runsUntilTold: true });
    const ran = await world.run(['run', '--retry', '2', '--', 'twice'], {
      onStdout: () => {
        const [before] = world.agent.jobs.values();
        world.agent.jobs.set(before?.id ?? '', { ...(before as Job), ...job });
        world.agent.finish(before?.id ?? '', { result: shell(0) });
      },
    });
    assert.equal(ran.code, 0);
    assert.match(ran.stderr, /^aspen-agent: attempt 1 of job_\w+ on fake failed: talk exited with 3\n$/);
  });

  it('says what its job waits for, and names the node of it', async () => {
    const { peerId, handlers } = world.agent;
    const waitingFor = `its node ${peerId}: it was not heard for 9 s`;
    const explained = { eligibleCount: 1, waitingFor, nodes: [] };
    Object.assign(handlers, {
      'job.explain': async ({ id }: { readonly id: string }) => ({ id, state: 'queued', ...explained }),
    });
    world.agent.programs.set('long', { runsUntilTold: true });
    const ran = await world.run(['run', '--', 'long'], {
      onStderr: () => world.agent.finish([...world.agent.jobs.keys()][0] ?? '', { result: shell(0) }),
    });
    const [line = ''] = ran.stderr.replaceAll(/job_\w+/g, 'j').split('\n');
    assert.equal(
      line,
      'aspen-agent: j waits for its node fake: it was not heard for 9 s; more: aspen-agent job explain j',
    );
  });

  it('goes on with the output from where it was when its agent was away', async () => {
    world.agent.programs.set('talk', { output: [['stdout', 'four']], runsUntilTold: true });
    const logs = world.agent.handlers['job.logs'];
    const asked: unknown[] = [];
    Object.assign(world.agent.handlers, {
      'job.logs': (...[params, connection]: Parameters<typeof logs>) => {
        asked.push(params.fromOffset);
        if (asked.length === 1) setTimeout(() => connection.close(), 100);
        else setImmediate(() => world.interrupt());
        return logs(params, connection);
      },
    });
    assert.equal((await world.run(['run', '--', 'talk'])).code, 130, 'interrupted in the end');
    assert.deepEqual(asked, [0, 4]);
  });

  it('with --detach prints the id and ends', async () => {
    world.agent.programs.set('long', { runsUntilTold: true });
    const ran = await world.run(['run', '--detach', '--', 'long']);
    assert.deepEqual([ran.code, /^job_\w+\n$/.test(ran.stdout)], [0, true]);
  });

  it('cancels the job on Ctrl-C and goes on to its end', async () => {
    world.agent.programs.set('long', { output: [['stdout', 'working\n']], runsUntilTold: true });
    const ran = await world.run(['run', '--', 'long'], {
      onStdout: (text) => {
        if (text === 'working\n') setImmediate(() => world.interrupt());
      },
    });
    assert.deepEqual([ran.code, ran.stdout], [130, 'working\n']);
    assert.match(ran.stderr, /cancelling job_\w+; once more to leave it/);
    assert.match(ran.stderr, /was cancelled/);
    assert.equal([...world.agent.jobs.values()][0]?.state, 'cancelled');
  });

  /** Runs `long` until something is done to the command. */
  const runUntil = (args: readonly string[], act: () => void): Promise<Ran> => {
    world.agent.programs.set('long', { runsUntilTold: true });
    const wait = world.agent.handlers['job.wait'];
    let hasActed = false;
    Object.assign(world.agent.handlers, {
      'job.wait': (...waited: Parameters<typeof wait>) => {
        if (!hasActed) setImmediate(act);
        hasActed = true;
        return wait(...waited);
      },
    });
    return world.run(['run', ...args, '--', 'long']);
  };
  const endings = () => [...world.agent.jobs.values()].map(({ state, error }) => [state, error?.message]);

  it('cancels the job when the terminal is closed, which says so twice', async () => {
    const { code, stderr } = await runUntil(['-o', 'json'], () => {
      world.interrupt('SIGHUP');
      world.interrupt('SIGHUP');
    });
    assert.equal(code, 129);
    assert.match(stderr, /^aspen-agent: cancelling job_\w+: the terminal was closed\n$/);
    assert.deepEqual(endings(), [['cancelled', 'the terminal was closed']]);
  });

  it('cancels all jobs of an array on Ctrl-C, and when nobody reads its output', async () => {
    const array = ['--array', '1-3'];
    const ran = await runUntil(array, () => world.interrupt());
    assert.equal(ran.code, 130);
    assert.match(ran.stderr, /cancelling 3 jobs; once more to leave them/);
    assert.notEqual((await runUntil(array, () => world.loseOutput())).code, 0);
    const ofReason = (reason: string) => [1, 2, 3].map(() => ['cancelled', reason]);
    assert.deepEqual(endings(), [
      ...ofReason('interrupted at the terminal'),
      ...ofReason('nobody reads its output any more'),
    ]);
  });

  it('cancels what of an array still runs, and minds nothing else', async () => {
    const ran = await runUntil(['--array', '1-3'], () => {
      const [first = ''] = world.agent.jobs.keys();
      if (world.agent.jobs.get(first)?.state === 'running') world.agent.finish(first);
      world.interrupt('SIGTERM');
    });
    assert.deepEqual([ran.code, /cannot cancel/.test(ran.stderr)], [143, false], ran.stderr);
    assert.deepEqual(
      endings().map(([state]) => state),
      ['succeeded', 'cancelled', 'cancelled'],
    );
  });

  it('job wait takes the exit code over when it is asked to, and only then', async () => {
    world.agent.programs.set('three', { result: shell(3), state: 'dead', error: failure });
    await world.run(['run', '--detach', '--', 'three']);
    assert.equal((await world.run(['job', 'wait', 'last'])).code, 0);
    assert.equal((await world.run(['job', 'wait', 'last', '--propagate-exit'])).code, 3);
  });

  it('job result prints what the program printed; of a job that still runs there is none', async () => {
    world.agent.programs.set('long', { runsUntilTold: true });
    await world.run(['run', '--detach', '--', 'long']);
    assert.equal((await world.run(['job', 'result', 'last'])).code, 4);
    world.agent.finish([...world.agent.jobs.keys()][0] as string, { result: shell(0, null, 'printed\n') });
    assert.equal((await world.run(['job', 'result', 'last'])).stdout, 'printed\n');
  });

  it('job logs copies the output; with -o jsonl one line a piece', async () => {
    world.agent.programs.set('talk', {
      output: [
        ['stdout', 'out\n'],
        ['stderr', 'err\n'],
      ],
    });
    await world.run(['run', '--detach', '--', 'talk']);
    assert.deepEqual(await world.run(['job', 'logs', 'last']), { code: 0, stdout: 'out\n', stderr: 'err\n' });
    const [first] = (await world.run(['job', 'logs', 'last', '-o', 'jsonl'])).stdout.split('\n');
    assert.deepEqual(JSON.parse(first as string), {
      schema: 'aspen.job.logs/v1',
      id: [...world.agent.jobs.keys()][0],
      attempt: 1,
      stream: 'stdout',
      offset: 0,
      data: 'out\n',
    });
  });
});
