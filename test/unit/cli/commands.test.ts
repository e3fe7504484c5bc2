import assert from 'node:assert/strict';
import { parseAllDocuments } from 'yaml';
import { CliWorld, type Ran, runCommandLine } from './harness.ts';

const JOB = /^job_[0-9a-z]{26}$/;

describe('the command line', () => {
  let world: CliWorld;

  beforeEach(async () => {
    world = await CliWorld.create();
  });
  afterEach(() => world[Symbol.asyncDispose]());

  const run = (...args: string[]): Promise<Ran> => world.run(args);
  const json = async (...args: string[]): Promise<Record<string, unknown>> => {
    const ran = await run(...args);
    assert.equal(ran.code, 0, ran.stderr);
    return JSON.parse(ran.stdout) as Record<string, unknown>;
  };

  const requestIdOfLastCall = () =>
    (world.agent.calls.at(-1)?.params as { requestId: string } | undefined)?.requestId;

  it('says that there is more wherever the cursor of the next page is not shown', async () => {
    for (let at = 0; at < 3; at += 1) await run('job', 'submit', 'echo', '1');
    for (const format of ['table', 'wide', 'id', 'jsonl', 'json', 'yaml']) {
      const { stdout, stderr } = await run('job', 'list', '--limit', '2', '-o', format);
      assert.match(['json', 'yaml'].includes(format) ? stdout : stderr, /cursor/, format);
    }
  });

  it('shows the settings that an agent would start with where none runs', async () => {
    const ran = await runCommandLine(['config', 'show', '--origin', '-o', 'json'], {
      env: { ASPEN_DATA_DIR: '/nonexistent/aspen' },
    });
    assert.equal(ran.code, 0, ran.stderr);
    assert.match(ran.stderr, /no agent runs in \/nonexistent\/aspen/);
    const { schema, config } = JSON.parse(ran.stdout);
    assert.deepEqual(
      [schema, config],
      ['aspen.config.show/v1', [{ key: 'slots', value: 4, origin: 'file' }]],
    );
  });

  for (const args of [
    ['-o', 'json', 'job', 'list'],
    ['job', '-o', 'json', 'list'],
    ['job', 'list', '-o', 'json'],
    ['-o', 'yaml', 'job', '--json', 'list'],
  ]) {
    it(`takes a flag of every command wherever it stands: ${args.join(' ')}`, async () => {
      assert.deepEqual((await json(...args))['schema'], 'aspen.job.list/v1');
    });
  }

  const wrongUses: readonly { args: string[]; code: number; says: RegExp; why: string }[] = [
    { args: ['frobnicate'], code: 2, says: /unknown command/, why: 'no such command' },
    { args: ['run'], code: 2, says: /program/, why: 'run without a program' },
    { args: ['status', '--no-such-flag'], code: 2, says: /no-such-flag/, why: 'no such flag' },
    { args: ['status', 'surplus'], code: 2, says: /too many arguments/, why: 'an argument too many' },
    { args: ['status', '-o', 'xml'], code: 2, says: /xml/, why: 'no such format' },
    {
      args: ['job', 'submit', 'echo', '{broken'],
      code: 2,
      says: /not JSON/,
      why: 'a payload that is not JSON',
    },
    {
      args: ['run', '--timeout', 'soon', '--', 'true'],
      code: 2,
      says: /soon/,
      why: 'a duration that is none',
    },
    {
      args: ['status', '--timeout', '10 years'],
      code: 2,
      says: /--timeout.*"10 years" is not a duration; write for example 500ms/,
      why: 'a time to wait that is none',
    },
    {
      args: ['run', '--priority', '11', '--', 'true'],
      code: 2,
      says: /priority/,
      why: 'a priority out of range',
    },
    { args: ['run', '--retry', '0', '--', 'true'], code: 2, says: /at least 1/, why: 'no attempt at all' },
    {
      args: ['run', '--env', 'NAME', '--', 'true'],
      code: 2,
      says: /key=value/,
      why: 'a variable without a value',
    },
    {
      args: ['run', '--stdin', '/no/such/file', '--', 'cat'],
      code: 2,
      says: /no\/such\/file/,
      why: 'no such file',
    },
    {
      args: ['run', '--node', 'nobody', '--', 'true'],
      code: 3,
      says: /no node "nobody"/,
      why: 'no such node',
    },
    { args: ['job', 'get', 'job_00000000000000000000000000'], code: 3, says: /no job/, why: 'no such job' },
    { args: ['job', 'get', 'job_nothing'], code: 3, says: /no job/, why: 'no job with that prefix' },
    { args: ['job', 'get', 'last'], code: 3, says: /no job/, why: 'no job at all' },
    { args: ['kv', 'get', 'no-such-key'], code: 3, says: /no-such-key/, why: 'no such key' },
    {
      args: ['kv', 'cas', 'k', '--value', 'v'],
      code: 2,
      says: /--absent/,
      why: 'a swap without an expectation',
    },
    {
      args: ['kv', 'cas', 'k', '--absent', '--expected', 'x', '--value', 'v'],
      code: 2,
      says: /cannot be used/,
      why: 'two expectations',
    },
    { args: ['up'], code: 4, says: /runs on/, why: 'a second agent' },
    { args: ['join', 'aspen1expired'], code: 7, says: /expired/, why: 'an expired ticket' },
    { args: ['ticket', 'inspect', 'hello'], code: 2, says: /not a ticket/, why: 'no ticket' },
    ...[
      ['job', 'cancel', ''],
      ['node', 'drain', ''],
      ['node', 'revoke', ''],
      ['group', 'transfer', ''],
      ['ticket', 'revoke', ''],
      ['blob', 'rm', ''],
      ['run', '--node', '', '--', 'true'],
      ['backup', ''],
    ].map((args) => ({ args, code: 2, says: /an empty text names no /, why: 'a variable that was not set' })),
    { args: ['node', 'label', 'zone'], code: 2, says: /key=value/, why: 'a label without a value' },
  ];
  for (const { args, code, says, why } of wrongUses) {
    it(`ends \`${args.join(' ')}\` with ${code}, nothing on stdout: ${why}`, async () => {
      const ran = await run(...args);
      assert.deepEqual([ran.code, ran.stdout], [code, ''], ran.stderr);
      assert.match(ran.stderr, says);
    });
  }

  it('ends with 6 where no agent answers, and says how to start one', async () => {
    const ran = await run('status', '--data-dir', `${world.dataDir}/nobody`);
    assert.deepEqual([ran.code, ran.stdout], [6, '']);
    assert.match(ran.stderr, /no agent answers at .*agent\.sock\n.*aspen-agent up --data-dir .*nobody/);
  });

  it('ends with 5 without a quorum, and waits for one with --timeout', async () => {
    world.agent.isWithoutQuorum = true;
    const ran = await run('kv', 'put', 'k', 'v');
    assert.equal(ran.code, 5, ran.stderr);
    assert.match(ran.stderr, /nothing was changed/);
    const waiting = run('kv', 'put', 'k', 'v', '--timeout', '20s');
    setTimeout(() => {
      world.agent.isWithoutQuorum = false;
    }, 50);
    assert.equal((await waiting).code, 0);
  });

  it('ends with 8 when its time is over before the agent gives up, and says that nobody leads', async () => {
    world.agent.isWithoutQuorum = true;
    Object.assign(world.agent.handlers, { 'kv.put': () => new Promise(() => undefined) });
    const ran = await run('kv', 'put', 'k', 'v', '--timeout', '50ms');
    assert.equal(ran.code, 8, ran.stderr);
    assert.match(
      ran.stderr,
      /longer than 50 ms: no leader that a majority follows is known\n.*may still take effect/,
    );
  });

  it('ends with 8 when the wait is over', async () => {
    world.agent.programs.set('long', { runsUntilTold: true });
    await run('run', '--detach', '--', 'long');
    assert.equal((await run('job', 'wait', 'last', '--timeout', '1ms')).code, 8);
  });

  it('takes flags before and after the command, and the data directory from the environment', async () => {
    const before = await runCommandLine(['--data-dir', world.dataDir, '--json', 'status']);
    const after = await runCommandLine(['status', '--data-dir', world.dataDir, '-o', 'json']);
    const fromEnvironment = await run('status', '-o', 'json');
    assert.equal(before.code, 0, before.stderr);
    assert.deepEqual([before.stdout, after.stdout], [fromEnvironment.stdout, fromEnvironment.stdout]);
  });

  it('ends with 1 when doctor finds something that does not work, and says how to mend it', async () => {
    world.agent.doctorFindings = [
      { name: 'group.quorum', status: 'ok', detail: '3 voters', mend: null },
      { name: 'disk.sync', status: 'fail', detail: 'takes 2 s', mend: 'another disk' },
    ];
    const ran = await run('doctor');
    assert.equal(ran.code, 1);
    assert.match(ran.stdout, /disk\.sync +FAIL +takes 2 s\n\nTo mend:\n {2}disk\.sync: another disk\n/);
    assert.equal((await run('doctor', '-o', 'id')).stdout, 'disk.sync\n');
  });

  it('shows how peers are reached, and why not', async () => {
    const wide = await run('peers', '-o', 'wide');
    assert.match(wide.stdout, /other .* direct +0\.4ms +tcp .* 2\.9KiB +12B +\/ip4\/10\.0\.0\.2/);
    assert.match(wide.stdout, /far .* not connected +~12\.5ms/);
    assert.match(wide.stdout, /\n {2}far: not connected, it lives, heard through others\n/);
    const matrix = await run('peers', '--matrix');
    assert.match(matrix.stdout, /^FROM +1 +2\n1 fake +- +r2ms!\n2 other +\? +-\n/);
  });

  it('shows what netcheck knows, and says plainly what nobody can tell', async () => {
    const ran = await run('netcheck');
    assert.match(ran.stdout, /UDP +yes, datagrams arrived/);
    assert.match(ran.stdout, /mapping varies +unknown: that takes two members/);
    assert.match(ran.stdout, /seen as +198\.51\.100\.7 \(public\), by 1 members/);
    assert.match(
      ran.stdout,
      /proxy +http:\/\/proxy:3128, from HTTPS_PROXY; lets through: yes, to relay\.example\.org:443\n +HTTPS_PROXY=http:\/\/\*\*\*@proxy:3128/,
    );
  });

  it('shows metrics as Prometheus reads them, when asked to', async () => {
    const ran = await run('metrics', '--text');
    assert.match(
      ran.stdout,
      /^# HELP aspen_raft_term .*\n# TYPE aspen_raft_term gauge\naspen_raft_term 7\n$/,
    );
  });

  for (const how of [[], ['--text'], ['-o', 'json']])
    it(`ends with 3 for metrics that there are none of, and names those there are ${how.join(' ')}`, async () => {
      const ran = await run('metrics', 'aspen_rafts', ...how);
      assert.deepEqual([ran.code, ran.stdout], [3, '']);
      assert.match(ran.stderr, /no metric of this node begins with aspen_rafts; there are aspen_raft/);
    });

  const schemas: readonly (readonly [string, string[]])[] = [
    ['aspen.agent.status/v1', ['status']],
    ['aspen.agent.doctor/v1', ['doctor']],
    ['aspen.metrics.get/v1', ['metrics', 'aspen_raft']],
    ['aspen.mesh.peers/v1', ['peers']],
    ['aspen.mesh.matrix/v1', ['peers', '--matrix']],
    ['aspen.net.check/v1', ['netcheck']],
    ['aspen.config.show/v1', ['config', 'show', '--origin']],
    ['aspen.ticket.create/v1', ['ticket', 'create', '--uses', '2']],
    ['aspen.ticket.list/v1', ['ticket', 'list']],
    ['aspen.ticket.inspect/v1', ['ticket', 'inspect', 'aspen1x']],
    ['aspen.ticket.revoke/v1', ['ticket', 'revoke', 'last']],
    ['aspen.mesh.join/v1', ['join', 'aspen1x']],
    ['aspen.mesh.leave/v1', ['leave']],
    ['aspen.agent.down/v1', ['down']],
    ['aspen.job.submit/v1', ['job', 'submit', 'echo', '1']],
    ['aspen.job.list/v1', ['job', 'list']],
    ['aspen.job.run/v1', ['run', '--', 'true']],
    ['aspen.kv.put/v1', ['kv', 'put', 'k', 'v']],
    ['aspen.kv.scan/v1', ['kv', 'scan']],
    ['aspen.kv.cas/v1', ['kv', 'cas', 'k', '--absent', '--value', 'v']],
    ['aspen.kv.delete/v1', ['kv', 'delete', 'k']],
    ['aspen.node.list/v1', ['node', 'list']],
    ['aspen.node.label/v1', ['node', 'label', 'zone=eu', 'old-', '--node', 'other']],
    ['aspen.node.revoke/v1', ['node', 'revoke', 'other']],
    ['aspen.version.show/v1', ['version']],
  ];
  for (const [schema, args] of schemas) {
    it(`shows \`${args.join(' ')}\` in every format, as JSON under ${schema}`, async () => {
      const [noun = '', ...rest] = args;
      const flagged = (format: string) => run(noun, '-o', format, ...rest);
      const shown =
        args.length > 1 && !['join', 'run'].includes(noun)
          ? (format: string) => run(noun, rest[0] as string, '-o', format, ...rest.slice(1))
          : flagged;
      const asJson = await shown('json');
      assert.equal(asJson.code, 0, asJson.stderr);
      assert.equal((JSON.parse(asJson.stdout) as { schema: string }).schema, schema);
      for (const format of ['table', 'wide', 'jsonl', 'yaml', 'id']) {
        const ran = await shown(format);
        assert.ok([0, 4].includes(ran.code), `${format}: ${ran.stderr}`); // a second compare-and-swap finds the first one's value
        if (format === 'yaml') assert.match(ran.stdout, new RegExp(`schema: ${schema}`));
        if (format === 'jsonl')
          for (const line of ran.stdout.trim().split('\n')) if (line !== '') JSON.parse(line);
      }
    });
  }

  it('shows settings for people as they are written, with their units, and for programs as numbers of those', async () => {
    const config = [
      { key: 'voterGrace', value: 30_000, unit: 'ms', origin: 'default' },
      { key: 'blobQuota', value: 10 * 2 ** 30, unit: 'bytes', origin: 'file' },
      { key: 'limits.memory', value: 'none', unit: 'bytes', origin: 'default' },
      { key: 'slots', value: 16, origin: 'default' },
    ];
    Object.assign(world.agent.handlers, { 'config.show': async () => ({ config }) });
    assert.match(
      (await run('config', 'show')).stdout,
      /voterGrace +30s\nblobQuota +10GiB\nlimits\.memory +none\nslots +16\n/,
    );
    const { config: told } = await json('config', 'show', '-o', 'json');
    assert.deepEqual(
      told,
      config.map(({ origin, ...setting }) => setting),
    );
  });

  for (const [args, says] of [
    [['help', 'kv', 'put'], /^Usage: aspen-agent kv put /],
    [['help', 'kv'], /^Usage: aspen-agent kv /],
    [['help'], /^Usage: aspen-agent /],
    [['kv', 'help', 'put'], /^Usage: aspen-agent kv put /],
  ] as const)
    it(`shows the help that was asked for: ${args.join(' ')}`, async () => {
      const { code, stdout } = await run(...args);
      assert.equal(code, 0);
      assert.match(stdout, says);
    });

  for (const args of [
    ['help', 'kv', 'nope'],
    ['kv', 'nope', '--help'],
    ['help', 'nope'],
  ])
    it(`shows no help on what there is not: ${args.join(' ')}`, async () => {
      const { code, stderr } = await run(...args);
      assert.equal(code, 2);
      assert.match(stderr, /unknown command 'nope'/);
    });

  it('takes a file whose editor put a byte order mark before the text', async () => {
    const mark = '\uFEFF';
    for (const text of ['{"type":"echo","payload":1}\n', '[{"type":"echo"}]'])
      assert.equal((await world.run(['job', 'submit-file', '-'], { stdin: mark + text })).code, 0, text);
    assert.equal((await world.run(['job', 'submit', 'echo', '-'], { stdin: `${mark}{"n":1}` })).code, 0);
    const txn = `${mark}{"compare":[],"success":[],"failure":[]}`;
    assert.equal((await world.run(['kv', 'txn', '-'], { stdin: txn })).code, 0);
    assert.equal((await world.run(['ticket', 'inspect', '-'], { stdin: `${mark}aspen1x\n` })).code, 0);
  });

  it('says that a file without jobs submitted none', async () => {
    const { code, stderr } = await world.run(['job', 'submit-file', '-'], { stdin: '\n' });
    assert.deepEqual([code, stderr], [0, 'nothing was submitted: it holds no job\n']);
  });

  it('shows what comes in the format that was asked for, each piece by itself', async () => {
    const watch = (format: string) =>
      run('kv', 'watch', 'k', '--from-revision', '1', '--timeout', '300ms', '-o', format);
    await run('kv', 'put', 'k', 'v1');
    await run('kv', 'put', 'k', 'v2');
    const { stdout } = await watch('yaml');
    const documents = parseAllDocuments(stdout).map((document) => document.toJS());
    assert.deepEqual(
      documents.map(({ schema, value }) => [schema, value]),
      [
        ['aspen.kv.watch/v1', 'v1'],
        ['aspen.kv.watch/v1', 'v2'],
      ],
    );
    assert.equal((await watch('id')).stdout, 'k\nk\n');
    assert.equal((await watch('table')).stdout, 'put k v1\nput k v2\n');
    for (const line of (await watch('jsonl')).stdout.trim().split('\n'))
      assert.equal(JSON.parse(line).schema, 'aspen.kv.watch/v1');
  });

  it('shows status for people', async () => {
    const { stdout } = await run('status');
    for (const text of ['fake', world.agent.peerId, 'voter', 'has quorum', '(this node)'])
      assert.ok(stdout.includes(text), stdout);
  });

  it('shows in the status of a node that it is drained, and how that ends', async () => {
    assert.doesNotMatch((await run('status')).stdout, /DRAINING/);
    const { 'agent.status': told } = world.agent.handlers;
    const drained = async (...of: Parameters<typeof told>) => ({ ...(await told(...of)), isDraining: true });
    Object.assign(world.agent.handlers, { 'agent.status': drained });
    assert.match((await run('status')).stdout, /\nwork +DRAINING: .*aspen-agent node undrain\n/);
  });

  it('prints a ticket alone on stdout, so that it can be piped', async () => {
    const created = await run('ticket', 'create');
    assert.equal(created.stdout, 'aspen1fake1\n');
    const joined = await world.run(['join', '-', '-o', 'json'], { stdin: created.stdout });
    assert.equal((JSON.parse(joined.stdout) as { alreadyMember: boolean }).alreadyMember, true);
    assert.deepEqual(world.agent.calls.at(-1)?.params, {
      ticket: 'aspen1fake1',
      requestId: requestIdOfLastCall(),
    });
  });

  it('names a job by its id, by a unique prefix and by "last"', async () => {
    const first = (await run('job', 'submit', 'echo', '{"n":1}', '-o', 'id')).stdout.trim();
    const second = (
      await run('job', 'submit', 'echo', '{"n":2}', '--id', 'job_second', '-o', 'id')
    ).stdout.trim();
    assert.match(first, JOB);
    assert.equal((await json('job', 'get', first, '-o', 'json'))['id'], first);
    assert.equal((await json('job', 'get', 'job_sec', '-o', 'json'))['id'], second);
    assert.equal((await json('job', 'get', 'last', '-o', 'json'))['id'], second);
    const ambiguous = await run('job', 'get', 'job_');
    assert.equal(ambiguous.code, 4);
    assert.match(ambiguous.stderr, /fits 2 jobs/);
  });

  it('means by "last" what somebody handed in, not what a hook delivers', async () => {
    const id = (await run('job', 'submit', 'echo', '1', '-o', 'id')).stdout.trim();
    await run('job', 'submit', 'hook.deliver', '{}');
    assert.equal((await json('job', 'get', 'last', '-o', 'json'))['id'], id);
  });

  it('turns every flag into its key of the spec', async () => {
    const flags = [
      ...[
        '--node',
        'other',
        '--require',
        'zone=eu',
        '--require',
        'disk=ssd',
        '--require',
        'memoryGiB>=32',
        '--prefer',
        'gpu=yes',
        '--avoid',
        'node=fake',
      ],
      ...[
        '--key',
        'k',
        '--strategy',
        'spread',
        '--priority',
        'high',
        '--queue',
        'q',
        '--timeout',
        '5m',
        '--retry',
        '3',
      ],
      ...[
        '--delay',
        '10s',
        '--hold',
        '1m',
        '--label',
        'team=web',
        '--id',
        'job_x',
        '--idempotency-key',
        'ik',
      ],
      ...[
        '--retention',
        '7d',
        '--require-mesh',
        '--request-id',
        'r1',
        '--env',
        'A=1',
        '--env',
        'B=x=y',
        '--cwd',
        '/usr',
        '--sandbox',
        'bwrap',
        '--network',
        '--memory',
        '64MiB',
        '--cpu',
        '1m',
        '--pids',
        '20',
        '--file-size',
        '1GiB',
        '--limits-required',
        '--stdin',
        '-',
      ],
    ];
    const ran = await world.run(['run', ...flags, '--', 'sh', '-c', 'cat', '--priority'], {
      stdin: 'from afar',
    });
    assert.equal(ran.code, 0, ran.stderr);
    assert.deepEqual(world.agent.calls.find(({ method }) => method === 'job.submit')?.params, {
      type: 'shell',
      payload: {
        command: 'sh',
        args: ['-c', 'cat', '--priority'],
        env: { A: '1', B: 'x=y' },
        cwd: '/usr',
        sandbox: 'bwrap',
        network: true,
        limits: { memoryBytes: 2 ** 26, cpuSeconds: 60, pids: 20, fileBytes: 2 ** 30, required: true },
        stdin: 'from afar',
      },
      affinity: {
        node: { peerId: world.agent.otherId, mode: 'require' },
        require: { zone: 'eu', disk: 'ssd', memoryGiB: '>=32' },
        prefer: { gpu: 'yes' },
        avoid: { node: world.agent.peerId },
        key: 'k',
        strategy: 'spread',
      },
      priority: 'high',
      queue: 'q',
      timeoutMs: 300_000,
      retry: { maxAttempts: 3 },
      delayMs: 10_000,
      offline: { holdMs: 60_000 },
      labels: { team: 'web' },
      id: 'job_x',
      idempotencyKey: 'ik',
      retentionMs: 604_800_000,
      requireMesh: true,
      requestId: 'r1',
    });
  });

  it('writes keys, reads them, swaps and scans', async () => {
    assert.equal((await run('kv', 'put', 'color', 'green')).code, 0);
    assert.equal((await run('kv', 'get', 'color')).stdout, 'green\n');
    assert.equal((await json('kv', 'get', 'color', '-o', 'json'))['value'], 'green');
    const lost = await run('kv', 'cas', 'color', '--expected', 'red', '--value', 'blue', '-o', 'json');
    assert.equal(lost.code, 4);
    assert.equal((JSON.parse(lost.stdout) as { current: string }).current, 'green');
    assert.match(lost.stderr, /it is "green"/);
    assert.equal((await run('kv', 'cas', 'color', '--expected', 'green', '--delete')).code, 0);
    assert.equal((await run('kv', 'get', 'color')).code, 3);
    for (const name of ['a', 'b']) await run('kv', 'put', `scan/${name}`, name);
    assert.match((await run('kv', 'scan', 'scan/')).stdout, /scan\/a +a\nscan\/b +b\n$/);
    assert.equal((await run('kv', 'scan', 'scan/', '-o', 'id')).stdout, 'scan/a\nscan/b\n');
  });

  it('explains why a job does not run', async () => {
    await run('job', 'submit', 'paint');
    assert.match((await run('job', 'explain', 'last')).stdout, /no +- +does not run jobs of type "paint"/);
  });

  it('keeps control characters of other machines away from the terminal', async () => {
    await run('kv', 'put', 'evil', '\u001b[31mred\nnext');
    assert.ok(!(await run('kv', 'scan', 'evil')).stdout.includes('\u001b'));
  });
});
