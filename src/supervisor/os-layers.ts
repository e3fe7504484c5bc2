import { execFile } from 'node:child_process';
import { getgid, getuid } from 'node:process';
import { promisify } from 'node:util';
import { type HidingPrograms, type Layers, NO_LAYERS, type Plan } from './confinement.ts';
import { launchLine } from './launch-line.ts';
import { probeCgroup } from './os-cgroups.ts';
import { findProgram } from './os-real-paths.ts';

/** What was found out about the layers of this machine; `why` has a sentence for each that is not there. */
export interface ProbedLayers {
  readonly layers: Layers;
  readonly why: Readonly<Partial<Record<keyof Layers, string>>>;
}

/** A probe that takes longer is as good as failed. Unit: ms. */
const PROBE_WITHIN_MS = 5_000;
const PLACES = '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin';
/** The least that every sandbox does. */
const BWRAP_TRIAL = [
  ...[
    '--unshare-pid',
    '--unshare-ipc',
    '--unshare-uts',
    '--unshare-net',
    '--die-with-parent',
    '--cap-drop',
    'ALL',
  ],
  ...['--ro-bind', '/', '/', '--dev', '/dev', '--proc', '/proc', '--size', '4096', '--tmpfs', '/tmp', '--'],
];

const run = promisify(execFile);

/** Tries each layer with a program that does nothing, as it would be used. */
export async function probeLayers(): Promise<ProbedLayers> {
  const truth = findProgram('true', { path: PLACES }) ?? '/bin/true';
  const isRoot = getuid?.() === 0;
  const [bwrap, prlimit, setpriv, hide] = await Promise.all([
    probe('bwrap', [...BWRAP_TRIAL, truth]),
    probe('prlimit', ['--core=0', '--', truth]),
    isRoot
      ? probe('setpriv', ['--reuid', '65534', '--regid', '65534', '--clear-groups', '--', truth])
      : NOT_ROOT,
    probeHiding(truth, isRoot),
  ]);
  const [memory, pids] = [probeCgroup('memory'), probeCgroup('pids')];
  const noGroup = 'no control group in which this agent may make others';
  return {
    layers: {
      ...{ bwrap: bwrap.path, prlimit: prlimit.path, setpriv: setpriv.path, hide: hide.programs },
      ...{ memory, pids, isRoot },
    },
    why: {
      ...(bwrap.why !== null && { bwrap: bwrap.why }),
      ...(prlimit.why !== null && { prlimit: prlimit.why }),
      ...(setpriv.why !== null && { setpriv: setpriv.why }),
      ...(hide.why !== null && { hide: hide.why }),
      ...(memory === null && { memory: noGroup }),
      ...(pids === null && { pids: noGroup }),
    },
  };
}

interface Probed {
  readonly path: string | null;
  readonly why: string | null;
}

const NOT_ROOT: Probed = { path: null, why: 'only root can change the user' };

/** Hides a directory that every machine has, as the agent's would be. */
async function probeHiding(
  truth: string,
  isRoot: boolean,
): Promise<{ readonly programs: HidingPrograms | null; readonly why: string | null }> {
  const mount = findProgram('mount', { path: PLACES });
  const unshare = findProgram('unshare', { path: PLACES });
  if (mount === undefined || unshare === undefined)
    return { programs: null, why: 'mount and unshare are not installed' };
  const programs = { unshare, mount };
  const plan = { ...NOTHING_ELSE, isAgentHidden: true };
  const [, ...args] = launchLine({ file: truth, args: [] }, plan, {
    ...{ layers: { ...NO_LAYERS, hide: programs, isRoot }, hidden: '/tmp' },
    ...{ writable: [], readable: [], cgroups: [], user: null, self: selfUser() },
  });
  const { why } = await probe('unshare', args);
  return { programs: why === null ? programs : null, why };
}

const NOTHING_ELSE: Plan = {
  ...{ isSandboxed: false, isAgentHidden: false, isNetworked: true, limits: {}, holders: {} },
};

/** Whose this process is. */
export function selfUser(): { readonly uid: number; readonly gid: number } {
  return { uid: getuid?.() ?? 0, gid: getgid?.() ?? 0 };
}

async function probe(name: string, args: readonly string[]): Promise<Probed> {
  const path = findProgram(name, { path: PLACES });
  if (path === undefined) return { path: null, why: `${name} is not installed` };
  try {
    await run(path, [...args], { timeout: PROBE_WITHIN_MS, killSignal: 'SIGKILL', cwd: '/' });
    return { path, why: null };
  } catch (error) {
    const { stderr = '', message } = error as Error & { readonly stderr?: string };
    return { path: null, why: `${path} does not work: ${stderr.trim().split('\n').at(-1) || message}` };
  }
}
