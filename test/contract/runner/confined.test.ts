import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type Ask,
  type Layers,
  NO_LAYERS,
  OPEN_POLICY,
  type SupervisedEnd,
  type WorkPolicy,
} from '../../../src/supervisor/index.ts';
import { OsBootClock } from '../../../src/supervisor/os-boot-clock.ts';
import { OsCensus } from '../../../src/supervisor/os-census.ts';
import { ConfinedRunner } from '../../../src/supervisor/os-confined-runner.ts';
import { probeLayers } from '../../../src/supervisor/os-layers.ts';
import { OsSpool } from '../../../src/supervisor/os-spool.ts';
import type { Order, SupervisedAttempt } from '../../../src/supervisor/supervised-attempt.ts';
import { Supervision } from '../../../src/supervisor/supervision.ts';

const ENV = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
const MIB = 2 ** 20;
const SEALED = { name: 'token', version: 1, key: '', nonce: '', box: '' } as never;
const clock = new OsBootClock();
const census = new OsCensus();
const { layers } = await probeLayers();

/** What this machine lacks cannot be tried on it: then it is tried that the job which needs it does not run. */
const hasSandbox = layers.bwrap !== null;

describe('a supervised process that its machine holds', function () {
  this.timeout(30_000);
  let directory: string;
  let data: string;
  let work: string;
  let count = 0;
  const directories: string[] = [];

  before(() => {
    // Not below /tmp: that is private in a sandbox anyway.
    directory = realpathSync(
      mkdtempSync(join(existsSync('/var/lib') ? '/var/lib' : tmpdir(), 'aspen-confined-')),
    );
    data = join(directory, 'data');
    work = join(directory, 'work');
    for (const path of [data, work, join(work, 'inner'), join(directory, 'elsewhere')]) mkdirSync(path);
    writeFileSync(join(data, 'key'), 'secret');
    symlinkSync(join(directory, 'elsewhere'), join(work, 'way-out'));
    symlinkSync('/bin/sh', join(work, 'harmless'));
  });
  after(() => {
    for (const path of [directory, ...directories]) rmSync(path, { recursive: true });
  });

  interface Held {
    readonly ask?: Omit<Ask, 'variables'>;
    readonly policy?: Partial<WorkPolicy>;
    readonly layers?: Layers;
    readonly order?: Partial<Order>;
  }

  function begin(command: string, args: readonly string[], { ask, policy, layers: given, order }: Held) {
    const ended = Promise.withResolvers<SupervisedEnd>();
    const wrote = Promise.withResolvers<SupervisedAttempt>();
    const runner = new ConfinedRunner(data);
    runner.confine({ ...OPEN_POLICY, ...policy }, given ?? layers);
    const own = mkdtempSync('/dev/shm/aspen-confined-');
    directories.push(own);
    writeFileSync(join(own, 'token'), 'opened');
    const mark = `confined-${process.pid}-${++count}`;
    const supervision = new Supervision({
      secrets: {
        open: ({ env }) => ({
          env: {
            ...Object.fromEntries(Object.keys(env).map((name) => [name, 'value'])),
            ASPEN_SECRETS_DIR: own,
          },
          values: [],
          close: () => undefined,
        }),
      },
      runner,
      spool: new OsSpool(join(data, 'outputs')),
      census,
      clock,
      journal: { begun: () => undefined, ended: () => undefined },
      drawMark: () => mark,
    });
    supervision.listen({
      started: () => undefined,
      output: (attempt) => wrote.resolve(attempt),
      ended: ({ end }) => ended.resolve(end as SupervisedEnd),
    });
    supervision.begin({
      ...{ name: 'job/1/1', note: null, outputKey: `job/${mark}`, holdUntilBootMs: clock.bootMs() + 60_000 },
      ...{ timeoutMs: null, graceMs: 300, maxOutputBytes: MIB, captureStderr: true },
      ...{ command, args, env: ENV, shell: false },
      ask: { variables: Object.keys(order?.env ?? {}), ...ask },
      ...order,
    });
    return { supervision, mark, ended: ended.promise, wrote: wrote.promise };
  }

  const run = (command: string, args: readonly string[], held: Held = {}) => begin(command, args, held).ended;
  const sh = (script: string, held: Held = {}) => run('sh', ['-c', script], held);
  const refusalOf = async (ending: Promise<SupervisedEnd>): Promise<string> => {
    const { exit } = await ending;
    assert.equal(exit.spawnError?.code, 'DENIED', JSON.stringify(exit));
    return exit.spawnError?.message ?? '';
  };
  /** Numbers of processes whose line of arguments has it. */
  const withArgument = (text: string): readonly number[] =>
    (census.take() ?? []).map(({ pid }) => pid).filter((pid) => lineOf(pid).includes(text));
  const left = (mark: string) => (census.take() ?? []).filter((seen) => seen.marks.includes(mark));

  describe('under a list of commands', () => {
    const policy = { commands: ['echo', '/usr/bin/env'] };

    it('is started when it is on it, by name or path', async () => {
      assert.equal((await run('echo', ['a'], { policy })).output.stdout, 'a\n');
      assert.equal((await run('/usr/bin/../bin/env', [], { policy })).exit.exitCode, 0);
    });

    it('is refused when it is not, also as a line for a shell', async () => {
      assert.match(
        await refusalOf(run('cat', [], { policy })),
        /cat, .*is not on the node's list shell\.commands|cat is not on/,
      );
      assert.match(
        await refusalOf(run('echo', ['a'], { policy, order: { shell: true } })),
        /\/bin\/sh.* is not on/,
      );
    });

    it('is refused under the name of another, through a link or a PATH of its own', async () => {
      const link = join(work, 'echo');
      symlinkSync('/bin/sh', link);
      const env = { PATH: `${work}:/bin` };
      for (const ending of [run(link, [], { policy }), run('echo', [], { policy, order: { env } })])
        assert.match(await refusalOf(ending), new RegExp(`${link}, which is .*, is not on`));
      rmSync(link);
    });

    it('does not exist when it is nowhere', async () => {
      const { exit } = await run('no-such-program', [], { policy });
      assert.equal(exit.spawnError?.code, 'ENOENT');
    });
  });

  describe('under a list of directories', () => {
    const at = (cwd?: string) => ({
      policy: { directories: [work] },
      order: cwd === undefined ? {} : { cwd },
    });

    it('starts within one, or in the first where it names none', async () => {
      assert.equal((await run('pwd', [], at(join(work, 'inner')))).output.stdout, `${join(work, 'inner')}\n`);
      assert.equal((await run('pwd', [], at())).output.stdout, `${work}\n`);
    });

    it('is refused elsewhere, also by way of .. or a link that leads out', async () => {
      for (const cwd of [
        '/',
        `${work}/..`,
        `${work}/inner/../../elsewhere`,
        join(work, 'way-out'),
        `${work}-not`,
      ])
        assert.match(await refusalOf(run('pwd', [], at(cwd))), /^cwd: /, cwd);
    });
  });

  describe('with variables', () => {
    const withVariable = (name: string, variables?: readonly string[]) => ({
      policy: { variables: variables ?? null },
      order: { env: { ...ENV, [name]: 'x' } },
      ask: {},
    });

    for (const name of ['LD_PRELOAD', 'LD_LIBRARY_PATH', 'NODE_OPTIONS', 'BASH_ENV'])
      it(`is refused when it brings ${name}`, async () => {
        assert.match(
          await refusalOf(run('true', [], withVariable(name))),
          new RegExp(`^env: ${name} would change`),
        );
      });

    it('is refused when a secret would be such a variable', async () => {
      const secrets = { peerId: 'peer', env: { LD_PRELOAD: SEALED }, files: {} };
      assert.match(await refusalOf(run('true', [], { order: { secrets } })), /^env: LD_PRELOAD would change/);
    });

    it('may bring what the owner names, and only that where there is a list', async () => {
      assert.equal(
        (await run('true', [], withVariable('NODE_OPTIONS', ['PATH', 'NODE_OPTIONS']))).exit.exitCode,
        0,
      );
      assert.equal((await run('true', [], withVariable('APP_COLOR', ['PATH', 'APP_*']))).exit.exitCode, 0);
      assert.match(
        await refusalOf(run('true', [], withVariable('COLOR', ['PATH', 'APP_*']))),
        /COLOR is not on/,
      );
      assert.match(
        await refusalOf(run('true', [], withVariable('LD_PRELOAD', ['PATH', '*']))),
        /LD_PRELOAD would/,
      );
    });
  });

  describe('with limits', () => {
    const stoppedBy = async (ending: Promise<SupervisedEnd>) => (await ending).exit.stoppedBy;

    it('is stopped when it takes more processor time', async () => {
      const ending = sh('while :; do :; done', { ask: { limits: { cpuSeconds: 1 } } });
      assert.deepEqual(await stoppedBy(ending), { layer: 'prlimit', limit: 'cpuSeconds', value: 1 });
    });

    it('is stopped when it writes a larger file, however sparse', async () => {
      const file = join(work, 'big');
      const ask = { limits: { fileBytes: MIB } };
      assert.equal((await sh(`head -c 1000000 /dev/zero >${file}`, { ask })).exit.exitCode, 0);
      for (const script of [`truncate -s 1T ${file}`, `truncate -s 1T ${file}; exit $?`])
        assert.deepEqual(await stoppedBy(sh(script, { ask })), {
          layer: 'prlimit',
          limit: 'fileBytes',
          value: MIB,
        });
      assert.ok(readFileSync(file).length <= MIB);
    });

    it('has no more memory than that, by whichever layer holds it', async () => {
      const ask = { limits: { memoryBytes: 32 * MIB } };
      const take = (bytes: number) => ['-c', `head -c ${bytes} /dev/zero | tail -c ${bytes} | wc -c`];
      assert.equal((await run('sh', take(4 * MIB), { ask })).exit.exitCode, 0);
      for (const given of [layers, { ...layers, memory: null }]) {
        const { exit, output } = await run(
          'sh',
          ['-c', `head -c ${128 * MIB} /dev/zero | tail -c ${96 * MIB} >/dev/null`],
          {
            ask,
            layers: given,
            order: { timeoutMs: 20_000 },
          },
        );
        assert.notEqual(exit.exitCode, 0, output.stderr);
        if (given.memory !== null)
          assert.deepEqual(exit.stoppedBy, { layer: 'cgroup', limit: 'memoryBytes', value: 32 * MIB });
      }
    });

    it('may not ask for more than the owner allows, and has what the owner says where it asks for nothing', async () => {
      const policy = { limits: { fileBytes: 4096 }, maximums: { fileBytes: 8192 } };
      assert.match(
        await refusalOf(run('true', [], { policy, ask: { limits: { fileBytes: 9000 } } })),
        /8192/,
      );
      const { exit } = await sh(`head -c 5000 /dev/zero >${join(work, 'usual')}`, { policy });
      assert.deepEqual(exit.stoppedBy, { layer: 'prlimit', limit: 'fileBytes', value: 4096 });
    });

    it('is not started when it requires a limit that nothing here holds', async () => {
      const ask = { limits: { pids: 8 }, isLimitRequired: true };
      assert.match(await refusalOf(run('true', [], { ask, layers: NO_LAYERS })), /nothing that holds pids/);
      assert.equal(
        (await run('true', [], { ask: { limits: { pids: 8 } }, layers: NO_LAYERS })).exit.exitCode,
        0,
      );
    });

    const pidsHeld = layers.pids !== null;
    it(
      pidsHeld
        ? 'cannot have more processes, and leaves none behind'
        : 'has as many processes as it likes where nothing counts them',
      async () => {
        // A mild one first: were it not held, a bomb would be no test.
        const mild = await begin('sh', ['-c', 'for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; wait'], {
          ask: { limits: { pids: 6 } },
          order: { timeoutMs: 10_000 },
        }).ended;
        if (!pidsHeld) return assert.equal(mild.exit.exitCode, 0);
        assert.deepEqual(mild.exit.stoppedBy, { layer: 'cgroup', limit: 'pids', value: 6 });
        const bomb = begin('sh', ['-c', 'bomb() { bomb | bomb & }; bomb; sleep 0.2'], {
          ask: { limits: { pids: 24 } },
          order: { timeoutMs: 10_000 },
        });
        const { exit } = await bomb.ended;
        assert.deepEqual(exit.stoppedBy, { layer: 'cgroup', limit: 'pids', value: 24 });
        assert.deepEqual(left(bomb.mark), []);
        assert.equal(existsSync(join(layers.pids?.path ?? '', `aspen-attempt-${bomb.mark}`)), false);
      },
    );
  });

  describe('beside files of the agent that are hidden (C7)', () => {
    const policy = { sandbox: { ...OPEN_POLICY.sandbox, isAgentHidden: true } };

    it('finds nothing there and can write nothing there, and keeps the rest of the machine', async function () {
      if (layers.hide === null) this.skip();
      const script = `ls -A ${data}; echo x >${data}/x; cat ${data}/key; echo y >${work}/y; id -u; pwd`;
      const { output, exit } = await sh(script, { policy, order: { cwd: work } });
      assert.deepEqual(
        [exit.exitCode, output.stdout.trim().split('\n')],
        [0, [String(process.getuid?.()), work]],
        output.stderr,
      );
      assert.match(output.stderr, /Read-only file system/);
      assert.deepEqual(
        [existsSync(join(data, 'x')), readFileSync(join(data, 'key'), 'utf8')],
        [false, 'secret'],
      );
      assert.equal(readFileSync(join(work, 'y'), 'utf8'), 'y\n');
    });

    it('is started, fails and ends as it would otherwise', async () => {
      const ended = await sh('kill -9 $$', { policy });
      assert.deepEqual([ended.exit.exitCode, ended.exit.signal], [null, 'SIGKILL']);
      assert.equal((await run('no-such-program', [], { policy })).exit.spawnError?.code, 'ENOENT');
      assert.equal((await run(join(data, '..', 'work'), [], { policy })).exit.spawnError?.code, 'EACCES');
      const nowhere = await sh('true', { policy, order: { cwd: '/no/such/place' } });
      assert.match(nowhere.exit.spawnError?.message ?? '', /working directory \/no\/such\/place/);
      assert.equal((await run('sh', ['-c', 'echo $0'], { policy })).output.stdout, 'sh\n');
    });

    it('is told by its own name that it brings too much', async () => {
      const { spawnError } = (await sh('true', { policy, order: { env: { ...ENV, A: 'x'.repeat(MIB) } } }))
        .exit;
      assert.equal(spawnError?.code, 'E2BIG');
      assert.match(
        spawnError?.message ?? '',
        /^sh cannot be started: its arguments and variables are longer/,
      );
    });

    const again = process.getuid?.() === 0 ? 'unshare --mount' : 'unshare --user --map-root-user --mount';
    for (const [what, begun] of [
      ['that lost its parents', ''],
      ['that lost its parents and has a view of the files of its own', again],
    ] as const) {
      it(`ends a process ${what}, its session and its environment (V2)`, async function () {
        if (layers.hide === null) this.skip();
        const nap = `1021.${process.pid}${++count}`;
        const stubborn = `trap "" TERM; sleep ${nap} & echo up; sleep ${nap}`;
        const script = `(env -i setsid ${begun} sh -c '${stubborn}' &) ; exec sleep ${nap}`;
        for (const way of ['cancel', 'timeout', 'hold'] as const) {
          const held = {
            timeout: { timeoutMs: 700 },
            hold: { holdUntilBootMs: clock.bootMs() + 700 },
            cancel: {},
          };
          const attempt = begin('sh', ['-c', script], { policy, order: held[way] });
          await attempt.wrote;
          if (way === 'cancel') attempt.supervision.stop('job/1/1', 100);
          const { endedBy, survivors } = await attempt.ended;
          assert.deepEqual([endedBy, survivors], [way === 'cancel' ? 'stop' : way, []]);
          assert.deepEqual(withArgument(nap), [], way);
          assert.deepEqual(left(attempt.mark), []);
        }
      });
    }

    it('is found as another user as well, who cannot take the cover off (V2)', async function () {
      if (layers.hide === null || layers.setpriv === null) this.skip();
      const nap = `1022.${process.pid}${++count}`;
      const lost = `env -i setsid sh -c 'umount ${data}; id -u; exec sleep ${nap}'`;
      const attempt = begin('sh', ['-c', `(${lost} &) ; exec sleep ${nap}`], {
        policy: { ...policy, user: 'nobody' },
      });
      await attempt.wrote;
      attempt.supervision.stop('job/1/1', 100);
      const { output, survivors } = await attempt.ended;
      assert.deepEqual([output.stdout, survivors, withArgument(nap)], ['65534\n', [], []], output.stderr);
    });

    it('does not start among them', async () => {
      assert.match(
        await refusalOf(sh('true', { policy, order: { cwd: data } })),
        /belongs to the agent itself/,
      );
    });
  });

  describe('in a sandbox', () => {
    const ask = { sandbox: 'bwrap' as const };

    it('is not started where there is none', async () => {
      const without = { ...layers, bwrap: null };
      assert.match(await refusalOf(run('true', [], { ask, layers: without })), /this machine has no bwrap/);
      const required = { sandbox: { ...OPEN_POLICY.sandbox, layer: 'bwrap' as const, isRequired: true } };
      assert.match(
        await refusalOf(run('true', [], { policy: required, layers: without })),
        /required by the owner/,
      );
      assert.match(
        await refusalOf(run('true', [], { policy: required, ask: { sandbox: 'none' } })),
        /has every job run in bwrap/,
      );
    });

    if (!hasSandbox) return;

    it('gives its output and its exit code, with its own environment and input', async () => {
      const { exit, output } = await sh('cat; echo $COLOR; echo e >&2; exit 7', {
        ask,
        order: { env: { ...ENV, COLOR: 'green' }, stdin: Buffer.from('in\n') },
      });
      assert.deepEqual([exit.exitCode, output.stdout, output.stderr], [7, 'in\ngreen\n', 'e\n']);
    });

    it('changes nothing of the machine but what the owner lets it', async () => {
      const writable = { sandbox: { ...OPEN_POLICY.sandbox, writable: [join(work, 'inner')] } };
      for (const path of [join(work, 'no'), '/usr/no', '/etc/no'])
        assert.notEqual((await sh(`echo x >${path}`, { ask, policy: writable })).exit.exitCode, 0, path);
      const { exit } = await sh(`mount -o remount,rw / ; echo x >/usr/no`, { ask });
      assert.notEqual(exit.exitCode, 0);
      assert.equal(existsSync('/usr/no'), false);
      assert.equal(
        (await sh(`echo x >${join(work, 'inner/yes')}`, { ask, policy: writable })).exit.exitCode,
        0,
      );
      assert.equal(
        (await sh('echo x >/tmp/confined-trial && cat /tmp/confined-trial', { ask })).output.stdout,
        'x\n',
      );
      assert.equal(existsSync('/tmp/confined-trial'), false);
    });

    it('has all files of the machine and none of its processes, where the owner lets it write everything', async () => {
      const policy = { sandbox: { ...OPEN_POLICY.sandbox, writable: ['/'] } };
      const trial = `/tmp/aspen-all-writable-${process.pid}`;
      const other = spawn('sleep', ['30']);
      try {
        const script = `echo x >${work}/all; echo y >${trial}; kill -9 ${other.pid}; ls -A ${data}; ls -d /proc/${other.pid}; echo $PPID`;
        const { exit, output } = await sh(script, { ask, policy });
        assert.deepEqual([exit.exitCode, output.stdout], [0, '1\n'], output.stderr);
        assert.match(output.stderr, /[Nn]o such process/);
        assert.deepEqual([other.exitCode, other.signalCode], [null, null]);
        assert.deepEqual(
          [readFileSync(join(work, 'all'), 'utf8'), readFileSync(trial, 'utf8')],
          ['x\n', 'y\n'],
        );
      } finally {
        other.kill('SIGKILL');
        rmSync(trial, { force: true });
      }
    });

    it("finds nothing in the agent's directory, though all around it is to be written", async () => {
      const policy = { sandbox: { ...OPEN_POLICY.sandbox, writable: [directory] } };
      const { exit, output } = await sh(
        `cat ${data}/key; ls -A ${data}; echo gone >${data}/key; rm -rf ${data}/*`,
        { ask, policy },
      );
      assert.equal(output.stdout, '', `${exit.exitCode}`);
      assert.equal(readFileSync(join(data, 'key'), 'utf8'), 'secret');
    });

    it('reads the secrets that were opened for it', async () => {
      const secrets = { peerId: 'peer', env: { TOKEN: SEALED }, files: {} };
      const script = 'cat $ASPEN_SECRETS_DIR/token; echo $TOKEN; echo x >$ASPEN_SECRETS_DIR/token';
      const { exit, output } = await sh(script, { ask, order: { secrets } });
      assert.deepEqual([exit.exitCode === 0, output.stdout], [false, 'openedvalue\n'], output.stderr);
    });

    it('has no network unless it asks for it and the owner gives it', async () => {
      const links = "ls /sys/class/net >/dev/null; tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' \\n'";
      assert.equal((await sh(links, { ask })).output.stdout, 'lo');
      const network = { ...ask, isNetworked: true };
      assert.match(await refusalOf(sh('true', { ask: network })), /^network: /);
      const policy = { sandbox: { ...OPEN_POLICY.sandbox, isNetworked: true } };
      const seen = await sh(links, { ask: network, policy });
      assert.equal(seen.output.stdout, (await sh(links)).output.stdout);
    });

    it('is told to end, has its grace, and cleans up', async () => {
      const script = 'trap "echo cleaned; exit 3" TERM; echo up; while :; do sleep 0.05; done';
      const { supervision, ended, wrote, mark } = begin('sh', ['-c', script], {
        ask,
        order: { graceMs: 10_000 },
      });
      await wrote;
      supervision.stop('job/1/1', 10_000);
      const { exit, output, endedBy } = await ended;
      assert.deepEqual([exit.exitCode, output.stdout, endedBy], [3, 'up\ncleaned\n', 'stop']);
      assert.deepEqual(left(mark), []);
    });

    const daemon =
      "trap '' TERM; env -i setsid sh -c 'trap \"\" TERM; exec sleep 1017' & echo up; exec sleep 1017";
    const sleepers = () => (census.take() ?? []).filter(({ pid }) => isSleeper(pid));
    const isSleeper = (pid: number) => {
      const path = `/proc/${pid}/cmdline`;
      return existsSync(path) && readFileSync(path, 'utf8').startsWith('sleep\x001017');
    };
    const endings: readonly (readonly [string, Partial<Order>, boolean])[] = [
      ['its time is over', { timeoutMs: 400, graceMs: 100 }, false],
      ['it is cancelled', {}, true],
      ['its session is lost', { holdUntilBootMs: clock.bootMs() }, false],
    ];
    for (const [why, order, isStopped] of endings)
      it(`is gone when ${why}, with a grandchild that ignores SIGTERM, has no environment and a session of its own`, async () => {
        const hold = order.holdUntilBootMs === undefined ? {} : { holdUntilBootMs: clock.bootMs() + 600 };
        const { supervision, ended, wrote } = begin('sh', ['-c', daemon], {
          ask,
          order: { ...order, ...hold },
        });
        await wrote;
        if (isStopped) supervision.stop('job/1/1', 100);
        const { survivors, endedBy } = await ended;
        assert.notEqual(endedBy, 'itself');
        assert.deepEqual([survivors, sleepers()], [[], []]);
      });

    it('leaves nothing behind when its program ends by itself', async () => {
      await sh('env -i setsid sleep 1017 & sleep 0.1', { ask });
      assert.deepEqual(sleepers(), []);
    });
  });
});

/** @returns empty for what ended meanwhile. */
function lineOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    return '';
  }
}
