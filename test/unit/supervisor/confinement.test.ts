import assert from 'node:assert/strict';
import { sandboxCheck } from '../../../src/agent/checks/sandbox-check.ts';
import { parseShellPayload, requiredLayers } from '../../../src/jobs/index.ts';
import {
  type Ask,
  type Layers,
  launchLine,
  layerLabels,
  NO_LAYERS,
  OPEN_POLICY,
  type Plan,
  planOf,
  Refusal,
  stoppedByOf,
  type WorkPolicy,
} from '../../../src/supervisor/index.ts';

const ALL: Layers = {
  ...{ bwrap: '/usr/bin/bwrap', prlimit: '/usr/bin/prlimit', setpriv: '/usr/bin/setpriv', isRoot: true },
  hide: { unshare: '/usr/bin/unshare', mount: '/usr/bin/mount' },
  memory: { version: 2, path: '/g' },
  pids: { version: 2, path: '/g' },
};
const ASK: Ask = { variables: [] };
const sandboxed = (more: Partial<WorkPolicy['sandbox']>): WorkPolicy => ({
  ...OPEN_POLICY,
  sandbox: { ...OPEN_POLICY.sandbox, layer: 'bwrap', ...more },
});
const isRefused = (ask: Ask, policy: WorkPolicy, layers: Layers): boolean => {
  try {
    planOf(ask, policy, layers);
    return false;
  } catch (error) {
    assert.ok(error instanceof Refusal);
    return true;
  }
};

describe('a plan to hold an attempt', () => {
  it('never leaves out what is required', () => {
    const asks: Ask[] = [ASK, { ...ASK, sandbox: 'bwrap' }, { ...ASK, sandbox: 'none' }];
    const policies = [OPEN_POLICY, sandboxed({}), sandboxed({ isRequired: true })];
    for (const ask of asks)
      for (const policy of policies)
        for (const layers of [NO_LAYERS, ALL]) {
          const isRequired = ask.sandbox === 'bwrap' || policy.sandbox.isRequired;
          if (isRefused(ask, policy, layers)) assert.ok(isRequired, JSON.stringify({ ask, policy }));
          else
            assert.ok(
              !isRequired || planOf(ask, policy, layers).isSandboxed,
              JSON.stringify({ ask, policy }),
            );
        }
  });

  it('takes the limit of the job, or of the owner, and never more than the most', () => {
    const policy = {
      ...OPEN_POLICY,
      limits: { pids: 10, cpuSeconds: 5 },
      maximums: { pids: 20, fileBytes: 7 },
    };
    assert.deepEqual(planOf(ASK, policy, ALL).limits, { pids: 10, cpuSeconds: 5, fileBytes: 7 });
    const asked = planOf({ ...ASK, limits: { pids: 20, memoryBytes: 1 } }, policy, ALL);
    assert.deepEqual(asked.limits, { memoryBytes: 1, cpuSeconds: 5, pids: 20, fileBytes: 7 });
    assert.ok(isRefused({ ...ASK, limits: { pids: 21 } }, policy, ALL));
  });

  it('holds each limit by the best layer there is, and counts processes by user only where that is the attempt', () => {
    const limits = { memoryBytes: 1, cpuSeconds: 1, pids: 1, fileBytes: 1 };
    const holders = (layers: Layers, sandbox: 'none' | 'bwrap') =>
      planOf({ ...ASK, limits, sandbox }, OPEN_POLICY, layers).holders;
    const each = { cpuSeconds: 'prlimit', fileBytes: 'prlimit' };
    assert.deepEqual(holders(ALL, 'none'), { memoryBytes: 'cgroup', pids: 'cgroup', ...each });
    const bare = { ...ALL, memory: null, pids: null };
    assert.deepEqual(holders(bare, 'bwrap'), { memoryBytes: 'prlimit', ...each });
    assert.deepEqual(holders({ ...bare, isRoot: false }, 'bwrap'), {
      memoryBytes: 'prlimit',
      pids: 'prlimit',
      ...each,
    });
    assert.deepEqual(holders({ ...bare, isRoot: false }, 'none'), { memoryBytes: 'prlimit', ...each });
  });
});

describe('the line that starts a job', () => {
  const plan = (more: Partial<Plan>): Plan => ({
    isSandboxed: false,
    isAgentHidden: false,
    isNetworked: true,
    limits: {},
    holders: {},
    ...more,
  });
  const around = {
    layers: ALL,
    writable: ['/srv'],
    readable: ['/dev/shm/s'],
    hidden: '/srv/data',
    cgroups: [],
    user: null,
    self: { uid: 5, gid: 6 },
  };

  it('is the program alone where nothing holds it', () => {
    assert.deepEqual(launchLine({ file: '/bin/echo', args: ['a b'] }, plan({}), around), [
      '/bin/echo',
      'a b',
    ]);
  });

  it("hides the agent's directory from a job outside of a sandbox, which is itself again without the power to undo that (C7)", () => {
    const hidden = plan({ isAgentHidden: true });
    const job = { file: '/bin/true', args: ['x'] };
    const own = ['--mount', '--propagation', 'slave', '--'];
    const cover = ['aspen-hide', '/usr/bin/mount', '/srv/data'];
    const asRoot = launchLine(job, hidden, around);
    assert.deepEqual(asRoot.slice(0, 5), ['/usr/bin/unshare', ...own]);
    assert.deepEqual(asRoot.slice(8), [...cover, '/bin/true', 'x']);
    const line = launchLine(job, hidden, { ...around, layers: { ...ALL, isRoot: false } });
    assert.deepEqual(line.slice(0, 7), ['/usr/bin/unshare', '--user', '--map-root-user', ...own]);
    const again = ['/usr/bin/unshare', '--user', '--map-user=5', '--map-group=6', '--'];
    assert.deepEqual(line.slice(10), [...cover, ...again, '/bin/true', 'x']);
  });

  it('hides it before the job becomes another user, who could not (C7)', () => {
    const line = launchLine({ file: '/bin/true', args: [] }, plan({ isAgentHidden: true }), {
      ...around,
      user: { uid: 7, gid: 8 },
    });
    const become = ['--reuid', '7', '--regid', '8', '--clear-groups', '--'];
    assert.deepEqual(line.slice(-11), [
      'aspen-hide',
      '/usr/bin/mount',
      '/srv/data',
      '/usr/bin/setpriv',
      ...become,
      '/bin/true',
    ]);
  });

  it('hides nothing where the owner does not want it, nothing can, or a sandbox does (C7)', () => {
    const wanted = { ...OPEN_POLICY, sandbox: { ...OPEN_POLICY.sandbox, isAgentHidden: true } };
    const isHidden = (ask: Ask, policy: WorkPolicy, layers: Layers) =>
      planOf(ask, policy, layers).isAgentHidden;
    assert.equal(isHidden(ASK, wanted, ALL), true);
    assert.equal(isHidden(ASK, OPEN_POLICY, ALL), false);
    assert.equal(isHidden(ASK, wanted, NO_LAYERS), false);
    assert.equal(isHidden({ ...ASK, sandbox: 'bwrap' }, wanted, ALL), false);
    assert.equal(isHidden(ASK, { ...wanted, user: 'nobody' }, ALL), true, 'its processes are found by it');
    assert.equal(isHidden(ASK, { ...wanted, user: 'nobody' }, { ...ALL, isRoot: false }), false);
  });

  it("enters groups and lowers limits first, hides the agent's directory last", () => {
    const held = plan({
      isSandboxed: true,
      isNetworked: false,
      limits: { memoryBytes: 2048, cpuSeconds: 3, pids: 4, fileBytes: 1000 },
      holders: { memoryBytes: 'prlimit', cpuSeconds: 'prlimit', pids: 'cgroup', fileBytes: 'prlimit' },
    });
    const line = launchLine({ file: '/bin/true', args: ['x'], cwd: '/srv/a' }, held, {
      ...around,
      cgroups: ['/g/1'],
      user: { uid: 7, gid: 8 },
    });
    assert.deepEqual(line.slice(0, 2), ['/bin/sh', '-c']);
    assert.deepEqual(line.slice(3, 13), [
      'aspen-enter',
      'group',
      '/g/1',
      'cpu',
      '3',
      'file',
      '2',
      'data',
      '2',
      '--',
    ]);
    assert.deepEqual(line.slice(13, 20), [
      '/usr/bin/setpriv',
      '--reuid',
      '7',
      '--regid',
      '8',
      '--clear-groups',
      '--',
    ]);
    assert.equal(line[20], '/usr/bin/bwrap');
    assert.ok(line.includes('--unshare-net'));
    assert.deepEqual(line.slice(-7), ['--tmpfs', '/srv/data', '--chdir', '/srv/a', '--', '/bin/true', 'x']);
    const bound = line.slice(line.indexOf('--bind'), -7);
    assert.deepEqual(bound, ['--bind', '/srv', '/srv']);
  });
});

describe('the verdict on a limit', () => {
  const evidence = (events: Partial<{ oomKills: number; refusedForks: number }>) => ({
    plan: {
      limits: { memoryBytes: 1, cpuSeconds: 2, pids: 3, fileBytes: 4 },
      holders: {
        memoryBytes: 'cgroup',
        cpuSeconds: 'prlimit',
        pids: 'cgroup',
        fileBytes: 'prlimit',
      } as const,
    },
    events: { oomKills: 0, refusedForks: 0, ...events },
  });
  const exit = (exitCode: number | null, signal: string | null = null) => ({ exitCode, signal });

  it('names a limit only when its layer says that it was met', () => {
    const cases = [
      [exit(137), { oomKills: 1 }, 'memoryBytes'],
      [exit(0), { oomKills: 1 }, undefined],
      [exit(0), { refusedForks: 1 }, 'pids'],
      [exit(null, 'SIGXCPU'), {}, 'cpuSeconds'],
      [exit(152), {}, 'cpuSeconds'],
      [exit(153), {}, 'fileBytes'],
      [exit(137), {}, undefined],
      [exit(1), {}, undefined],
      [exit(0), {}, undefined],
    ] as const;
    for (const [end, events, limit] of cases)
      assert.equal(stoppedByOf(end, evidence(events))?.limit, limit, JSON.stringify([end, events]));
    assert.equal(stoppedByOf(exit(153), { ...evidence({}), plan: { limits: {}, holders: {} } }), undefined);
  });
});

describe('a job that requires a layer', () => {
  const required = (payload: object) => requiredLayers(parseShellPayload({ command: 'x', ...payload }));

  it('asks for the labels of what it requires', () => {
    assert.deepEqual(required({}), {});
    assert.deepEqual(required({ sandbox: 'none', limits: { pids: 1 } }), {});
    assert.deepEqual(required({ sandbox: 'bwrap', limits: { pids: 1, required: true } }), {
      'aspen/sandbox.bwrap': 'true',
      'aspen/limits.processes': 'in(cgroup, prlimit)',
    });
  });

  it('finds them on a machine that has the layers, and only there', () => {
    const all = layerLabels(ALL, OPEN_POLICY);
    assert.deepEqual(all['sandbox.bwrap'], 'true');
    assert.deepEqual([all['limits.memory'], all['limits.processes']], ['cgroup', 'cgroup']);
    const none = layerLabels(NO_LAYERS, OPEN_POLICY);
    assert.deepEqual(
      [none['sandbox.bwrap'], none['limits.processes'], none['limits.cpu']],
      [undefined, undefined, 'prlimit'],
    );
  });
});

describe('what doctor says of layers', () => {
  const states = async (layers: Layers, policy: WorkPolicy) => {
    const found = await sandboxCheck({ layers, why: { bwrap: 'bwrap is not installed' }, policy }).run();
    return Object.fromEntries(
      found.map(({ name, status, mend }) => [name, `${status}${mend === null ? '' : ', to mend'}`]),
    );
  };

  it('is well where all of them are there and used', async () => {
    assert.deepEqual(new Set(Object.values(await states(ALL, sandboxed({})))), new Set(['ok']));
  });

  it("names what keeps jobs from the agent's own files, how far, and why where nothing does", async () => {
    const wanted = { ...OPEN_POLICY, sandbox: { ...OPEN_POLICY.sandbox, isAgentHidden: true } };
    const said = async (layers: Layers, policy: WorkPolicy, why = {}) => {
      const found = await sandboxCheck({ layers, why, policy }).run();
      const { status, detail } = found.find(({ name }) => name === 'sandbox.data-directory') ?? {};
      return `${status}: ${detail}`;
    };
    assert.match(await said(ALL, wanted), /^ok: unshare hides .*root can undo that on purpose$/);
    assert.match(await said({ ...ALL, isRoot: false }, wanted), /^ok: unshare hides .* from jobs$/);
    assert.match(await said(ALL, OPEN_POLICY), /^warn: .*own files included$/);
    const why = { hide: 'unshare does not work: not permitted' };
    assert.match(
      await said(NO_LAYERS, wanted, why),
      /^warn: .*included: unshare does not work: not permitted$/,
    );
  });

  it('says by what processes of a job are found that hide from it', async () => {
    const hidden = { ...OPEN_POLICY, sandbox: { ...OPEN_POLICY.sandbox, isAgentHidden: true } };
    const cases: readonly (readonly [Layers, WorkPolicy, RegExp])[] = [
      [ALL, sandboxed({}), /^ok: bwrap ends all processes/],
      [ALL, hidden, /^ok: .*view of the files, and ended; one that is root can leave it on purpose$/],
      [ALL, { ...hidden, user: 'nobody' }, /^ok: .*view of the files, and ended$/],
      [{ ...ALL, isRoot: false }, hidden, /^ok: .*view of the files, and ended$/],
      [ALL, OPEN_POLICY, /^warn: .*is not found when its job ends$/],
      [NO_LAYERS, hidden, /^warn: /],
    ];
    for (const [layers, policy, said] of cases) {
      const found = await sandboxCheck({ layers, why: {}, policy }).run();
      const { status, detail } = found.find(({ name }) => name === 'sandbox.processes') ?? {};
      assert.match(`${status}: ${detail}`, said);
    }
  });

  it('warns of what is missing, and fails where the owner counts on it', async () => {
    const missing = await states(NO_LAYERS, OPEN_POLICY);
    assert.deepEqual(
      [missing['sandbox.bwrap'], missing['limits.processes']],
      ['warn, to mend', 'warn, to mend'],
    );
    const counted = { ...sandboxed({ isRequired: true }), limits: { pids: 5 }, user: 'nobody' };
    const failed = await states(NO_LAYERS, counted);
    for (const name of ['sandbox.bwrap', 'limits.processes', 'shell.user'])
      assert.equal(failed[name], 'fail, to mend');
  });
});
